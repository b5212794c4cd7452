//! Panels, axes and curves as SVG.

use std::fmt::Write;

use super::axis::Axis;
use super::panel::{Curve, Kind, LEARNING_RATE, Panel, is_drawable};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// Space above the first panel.
const TOP: f64 = 16.0;
/// Height of a panel's title.
const HEADER: f64 = 34.0;
const PANEL: f64 = 184.0;
/// Space between a panel's frame and the ends of its axes, so that dots are not on the frame.
const INSET: f64 = 8.0;
/// Height of the labels below a panel.
const FOOTER: f64 = 34.0;
/// Space below the last panel.
const BOTTOM: f64 = 26.0;
/// Largest number of points that are drawn with dots.
const MOST_DOTS: usize = 40;

/// Colours by Okabe and Ito, which colour-blind readers can distinguish; dashes help in black and
/// white.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;\
font-size:12px;fill:#555}\
text.title{font-size:14px;font-weight:600;fill:#222}\
.grid{stroke:#e6e6e6;stroke-width:1}\
.frame{stroke:#999;stroke-width:1;fill:none}\
polyline{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
polyline.steps{stroke:#56b4e9;stroke-width:1.25}\
polyline.training{stroke:#0072b2}\
polyline.validation{stroke:#d55e00;stroke-dasharray:7 5}\
circle.steps{fill:#56b4e9}\
circle.training{fill:#0072b2}\
circle.validation{fill:#d55e00}\
.key{stroke-width:2}\
.key.steps{stroke:#56b4e9;stroke-width:1.25}\
.key.training{stroke:#0072b2}\
.key.validation{stroke:#d55e00;stroke-dasharray:7 5}";

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Training => "training",
            Self::Validation => "validation",
        }
    }

    /// Legend text, and its width in pixels.
    fn legend(self) -> (&'static str, f64) {
        match self {
            Self::Steps => ("training, by step", 96.0),
            Self::Training => ("training", 48.0),
            Self::Validation => ("validation", 58.0),
        }
    }
}

/// Complete SVG document.
pub(super) fn document(panels: &[Panel], epochs: &Axis) -> String {
    let height = TOP + panels.len().max(1) as f64 * (HEADER + PANEL + FOOTER) + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Training history</title>\n\
         <style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (HEADER + PANEL + FOOTER) + HEADER;
        push_panel(&mut svg, panel, epochs, top);
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    if panels.is_empty() {
        push_text(&mut svg, middle, height / 2.0, "middle", "nothing to draw");
    } else {
        push_text(&mut svg, middle, height - BOTTOM + 4.0, "middle", "epoch");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Adds a panel whose upper edge is at `top`, with its title, legend and axes.
fn push_panel(svg: &mut String, panel: &Panel, epochs: &Axis, top: f64) {
    let title = escape(&panel.title);
    push(
        svg,
        format_args!("<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{title}</text>", top - 13.0),
    );
    if panel.title != LEARNING_RATE {
        push_legend(svg, panel, top - 17.0);
    }
    let points = || panel.curves.iter().flat_map(|curve| &curve.points);
    let drawable = || points().map(|&(_, value)| value).filter(|&value| is_drawable(value));
    let plot = Plot { epochs, values: &Axis::around(drawable()), top };
    plot.push_epochs(svg);
    if drawable().next().is_some() {
        plot.push_values(svg);
        panel.curves.iter().for_each(|curve| plot.push_curve(svg, curve));
    } else {
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        push_text(svg, middle, top + PANEL / 2.0, "middle", "nothing to draw");
    }
}

/// Adds the legend: key and text of every curve, from the right edge to the left.
fn push_legend(svg: &mut String, panel: &Panel, y: f64) {
    let mut right = WIDTH - RIGHT;
    for curve in panel.curves.iter().rev() {
        let (text, width) = curve.kind.legend();
        let class = curve.kind.class();
        let (start, end) = (right - width - 34.0, right - width - 8.0);
        push(
            svg,
            format_args!(
                "<line class=\"key {class}\" x1=\"{start}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>"
            ),
        );
        push_text(svg, right - width, y + 4.0, "start", text);
        right = start - 18.0;
    }
}

/// Maps numbers to positions in a panel.
struct Plot<'a> {
    epochs: &'a Axis,
    values: &'a Axis,
    top: f64,
}

impl Plot<'_> {
    fn x(&self, epoch: f64) -> f64 {
        LEFT + INSET + self.epochs.fraction(epoch) * (WIDTH - LEFT - RIGHT - 2.0 * INSET)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + INSET + (1.0 - self.values.fraction(value)) * (PANEL - 2.0 * INSET)
    }

    fn push_epochs(&self, svg: &mut String) {
        let (top, bottom) = (self.top, self.top + PANEL);
        for &tick in &self.epochs.ticks {
            let x = self.x(tick);
            push_grid(svg, (x, top), (x, bottom));
            push_text(svg, x, bottom + 18.0, "middle", &self.epochs.label(tick));
        }
        let width = WIDTH - LEFT - RIGHT;
        push(
            svg,
            format_args!(
                "<rect class=\"frame\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{PANEL}\"/>"
            ),
        );
    }

    fn push_values(&self, svg: &mut String) {
        for &tick in &self.values.ticks {
            let y = self.y(tick);
            push_grid(svg, (LEFT, y), (WIDTH - RIGHT, y));
            push_text(svg, LEFT - 8.0, y + 4.0, "end", &self.values.label(tick));
        }
    }

    /// Adds a line for every run of drawable numbers, and dots if there are few.
    fn push_curve(&self, svg: &mut String, curve: &Curve) {
        let class = curve.kind.class();
        let dots = curve.points.len() <= MOST_DOTS && curve.kind != Kind::Steps;
        for stretch in curve.points.split(|&(_, value)| !is_drawable(value)) {
            let places: Vec<(f64, f64)> =
                stretch.iter().map(|&(epoch, value)| (self.x(epoch), self.y(value))).collect();
            if places.len() > 1 {
                let points: Vec<String> =
                    places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let points = points.join(" ");
                push(svg, format_args!("<polyline class=\"{class}\" points=\"{points}\"/>"));
            }
            // A single number makes no line.
            for (x, y) in places.iter().filter(|_| dots || places.len() == 1) {
                push(
                    svg,
                    format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"),
                );
            }
        }
    }
}

fn push_grid(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    push(
        svg,
        format_args!(
            "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ),
    );
}

fn push_text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escape(text);
    push(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"),
    );
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string can be written to");
}

/// Escapes text for XML, and replaces control characters, most of which XML does not allow.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
