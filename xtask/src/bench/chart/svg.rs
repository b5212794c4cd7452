//! Bars as SVG without a background, in colours that contrast with white and black.

use std::fmt::Write;

use super::bars::{Bar, Group};

const WIDTH: f64 = 760.0;
/// Left end of the bars.
const LEFT: f64 = 290.0;
/// Width of the number after the longest bar.
const RIGHT: f64 = 60.0;
/// Height of title, setting and legend.
const HEADER: f64 = 92.0;
const BAR: f64 = 14.0;
/// Gap between two bars of a group, and between two groups.
const BAR_GAP: f64 = 3.0;
const GROUP_GAP: f64 = 14.0;
/// Height of the axis' numbers.
const FOOTER: f64 = 30.0;

const TEXT: &str = "#767676";
/// Okabe and Ito's colours, which are distinct for the colour-blind. The last is for other rivals.
const COLOURS: [(&str, &str); 6] = [
    ("llama.cpp", "#009e73"),
    ("CTranslate2", "#d55e00"),
    ("KerasHub", "#0072b2"),
    ("transformers", "#cc79a7"),
    ("tiktoken", "#8a7d2c"),
    ("", "#808080"),
];
/// Possible numbers of the axis.
const TICKS: [f64; 13] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The whole picture.
pub fn document(setting: &str, groups: &[Group]) -> String {
    let scale = Scale::around(groups);
    let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
    let plot = bars as f64 * (BAR + BAR_GAP) + groups.len() as f64 * GROUP_GAP;
    let (bottom, height) = (HEADER + plot, HEADER + plot + FOOTER);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Speed: how many times faster than others</title>\n\
         <style>text{{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;\
         font-size:13px;fill:{TEXT}}}.title{{font-size:16px;font-weight:600}}\
         .grid{{stroke:{TEXT};stroke-opacity:.3}}.one{{stroke:{TEXT}}}</style>\n"
    );
    push(
        &mut svg,
        format_args!(
            "<text class=\"title\" x=\"8\" y=\"22\">Times faster than others (1 is equal, axis is logarithmic)</text>"
        ),
    );
    push_text(&mut svg, 8.0, 43.0, "start", setting);
    push_legend(&mut svg, groups);
    for tick in scale.ticks() {
        push_tick(&mut svg, scale.x(tick), tick, bottom);
    }
    let mut top = HEADER + GROUP_GAP / 2.0;
    for group in groups {
        let middle = top + group.bars.len() as f64 * (BAR + BAR_GAP) / 2.0;
        push_text(&mut svg, LEFT - 12.0, middle + 3.0, "end", group.title);
        for bar in &group.bars {
            push_bar(&mut svg, &scale, bar, top);
            top += BAR + BAR_GAP;
        }
        top += GROUP_GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic axis with round ends.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the tick below all ratios, at most 1, to the tick above.
    fn around(groups: &[Group]) -> Self {
        let ratios = || groups.iter().flat_map(|group| &group.bars).map(|bar| bar.ratio);
        let (least, most) = (ratios().fold(1.0, f64::min), ratios().fold(2.0, f64::max));
        let low = TICKS.into_iter().rfind(|&tick| tick <= least).unwrap_or(least);
        let high = TICKS.into_iter().find(|&tick| tick >= most).unwrap_or(most);
        Self { low, high }
    }

    fn x(&self, ratio: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (ratio / self.low).ln() / (self.high / self.low).ln()
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        TICKS.into_iter().filter(|tick| (self.low..=self.high).contains(tick))
    }
}

/// Rivals of all groups and their colours, in the order of `COLOURS`.
fn push_legend(svg: &mut String, groups: &[Group]) {
    let mut rivals: Vec<&str> =
        groups.iter().flat_map(|group| &group.bars).map(|bar| bar.rival.as_str()).collect();
    let place = |rival: &str| COLOURS.iter().position(|(name, _)| *name == rival);
    rivals.sort_by_key(|rival| (place(rival).unwrap_or(COLOURS.len()), *rival));
    rivals.dedup();
    let mut x = 8.0;
    for rival in rivals {
        let fill = colour(rival);
        push(
            svg,
            format_args!(
                "<rect x=\"{x:.1}\" y=\"58\" width=\"12\" height=\"12\" rx=\"2\" fill=\"{fill}\"/>"
            ),
        );
        push_text(svg, x + 18.0, 69.0, "start", rival);
        x += 42.0 + 7.2 * rival.chars().count() as f64;
    }
}

fn push_tick(svg: &mut String, x: f64, tick: f64, bottom: f64) {
    let class = if tick == 1.0 { "one" } else { "grid" };
    let top = HEADER - 4.0;
    push(
        svg,
        format_args!(
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"
        ),
    );
    push_text(svg, x, bottom + 18.0, "middle", &format!("{tick}×"));
}

/// A bar from 1 to the ratio, with the ratio at its right end.
fn push_bar(svg: &mut String, scale: &Scale, bar: &Bar, top: f64) {
    let (one, end) = (scale.x(1.0), scale.x(bar.ratio));
    let (left, right) = (one.min(end), one.max(end));
    let (width, fill) = (right - left, colour(&bar.rival));
    push(
        svg,
        format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>"
        ),
    );
    let digits = if bar.ratio < 10.0 { 2 } else { 0 };
    push_text(svg, right + 6.0, top + 11.5, "start", &format!("{:.digits$}", bar.ratio));
}

fn colour(rival: &str) -> &'static str {
    let known = COLOURS.iter().find(|(name, _)| *name == rival);
    known.unwrap_or(&COLOURS[COLOURS.len() - 1]).1
}

fn push_text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    push(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"),
    );
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string can be written to");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(ratios: &[(&str, f64)]) -> Group {
        let bar = |(rival, ratio): &(&str, f64)| Bar { rival: (*rival).to_owned(), ratio: *ratio };
        Group { title: "a < b & c", bars: ratios.iter().map(bar).collect() }
    }

    #[test]
    fn bars_begin_at_one_and_grow_with_the_logarithm() {
        let groups = [group(&[("KerasHub", 10.0), ("llama.cpp", 0.5), ("Other", 1.0)])];
        let scale = Scale::around(&groups);
        assert_eq!((scale.low, scale.high), (0.5, 10.0));
        assert_eq!((scale.x(0.5), scale.x(10.0)), (LEFT, WIDTH - RIGHT));
        let svg = document("a setting", &groups);
        for expected in [
            "a &lt; b &amp; c",
            "a setting",
            ">10</text>",
            ">0.50</text>",
            ">0.5×</text>",
            ">Other</text>",
            "width=\"0.0\" height=\"14\" fill=\"#808080\"",
        ] {
            assert!(svg.contains(expected), "{expected}: {svg}");
        }
    }

    /// Relative luminance, as the Web Content Accessibility Guidelines define it.
    fn luminance(colour: &str) -> f64 {
        let channel = |place: usize| {
            let value = u8::from_str_radix(&colour[place..place + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_colour_can_be_read_on_light_and_on_dark() {
        for colour in COLOURS.iter().map(|(_, colour)| *colour).chain([TEXT]) {
            for background in ["#ffffff", "#0d1117"] {
                let (a, b) = (luminance(colour), luminance(background));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast > 3.0, "{colour} on {background}: {contrast}");
            }
        }
    }
}
