//! Plot of a training's curves.

mod axis;
mod panel;
mod svg;

use axis::Axis;
use panel::{Curve, Kind, LEARNING_RATE, Panel};

use crate::training::callbacks::step_history::{StepHistory, StepPoint};
use crate::training::history::History;

/// Plots a training as SVG, without scripts or embedded fonts.
///
/// There is a panel for the loss, one for every other metric, and one for the learning rate if it
/// is known. Training and validation share a panel. Epochs are counted from 1, and their labels are
/// at their ends. With `steps`, the loss and the learning rate are also drawn within the epochs.
/// Non-finite values leave a gap.
///
/// ```
/// use gpt2_task::{History, plot};
///
/// let history = History {
///     epoch: vec![0, 1],
///     history: vec![("loss".into(), vec![3.0, 2.5]), ("val_loss".into(), vec![3.2, 2.9])],
/// };
/// let svg = plot(&history, None);
/// assert!(svg.starts_with("<svg") && svg.contains("validation"));
/// ```
pub fn plot(history: &History, steps: Option<&StepHistory>) -> String {
    let panels = panels(history, steps);
    svg::document(&panels, &epochs(&panels))
}

impl History {
    /// Plots the curves as SVG: [`plot`] without steps.
    pub fn to_svg(&self) -> String {
        plot(self, None)
    }
}

fn panels(history: &History, steps: Option<&StepHistory>) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (name, values) in &history.history {
        let (title, kind) = match name.strip_prefix("val_") {
            Some(metric) => (metric, Kind::Validation),
            None => (name.as_str(), Kind::Training),
        };
        let points = positions(&history.epoch, values.len()).zip(values.iter().copied()).collect();
        panel_of(&mut panels, title).curves.push(Curve { kind, points });
    }
    if let Some(steps) = steps.filter(|steps| !steps.points().is_empty()) {
        add_steps(&mut panels, steps);
    }
    // The sort is stable: other metrics keep their order.
    panels.sort_by_key(|panel| match panel.title.as_str() {
        "loss" => 0,
        LEARNING_RATE => 2,
        _ => 1,
    });
    panels
}

/// Panel with this title. Adds it if there is none.
fn panel_of<'a>(panels: &'a mut Vec<Panel>, title: &str) -> &'a mut Panel {
    let index = panels.iter().position(|panel| panel.title == title).unwrap_or_else(|| {
        panels.push(Panel { title: title.to_owned(), curves: Vec::new() });
        panels.len() - 1
    });
    &mut panels[index]
}

/// Epochs, counted from 1, of `count` values.
///
/// If there are fewer values than epochs, they belong to every n-th epoch, as those of a
/// validation. If no n fits, they belong to the last epochs.
fn positions(epochs: &[usize], count: usize) -> impl Iterator<Item = f64> {
    let every = (1..=epochs.len()).find(|every| epochs.len() / every == count);
    let (skip, every) = match every {
        Some(every) => (every - 1, every),
        None => (epochs.len().saturating_sub(count), 1),
    };
    epochs.iter().skip(skip).step_by(every).map(|&epoch| epoch as f64 + 1.0)
}

fn add_steps(panels: &mut Vec<Panel>, steps: &StepHistory) {
    let position = |epoch: usize, batch: usize| {
        epoch as f64 + (batch + 1) as f64 / steps.steps_per_epoch() as f64
    };
    let points = |value: fn(&StepPoint) -> f64| {
        let points = steps.points().iter();
        points.map(|point| (position(point.epoch, point.batch), value(point))).collect()
    };
    // Drawn first, so that the other curves are on top.
    let loss = Curve { kind: Kind::Steps, points: points(|point| point.loss) };
    panel_of(panels, "loss").curves.insert(0, loss);
    // This curve includes the values at the ends of the epochs.
    let points = points(|point| point.learning_rate);
    panel_of(panels, LEARNING_RATE).curves = vec![Curve { kind: Kind::Training, points }];
}

/// Axis that all panels share.
fn epochs(panels: &[Panel]) -> Axis {
    let curves = || panels.iter().flat_map(|panel| &panel.curves);
    let positions = curves().flat_map(|curve| curve.points.iter().map(|&(epoch, _)| epoch));
    let (first, last) = positions.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), epoch| {
        (low.min(epoch), high.max(epoch))
    });
    if curves().any(|curve| curve.kind == Kind::Steps) {
        // Parts of an epoch are labelled only if there are no whole epochs beside them.
        let low = (first.ceil() - 1.0).max(0.0);
        Axis::between(low, last, if last - low > 1.0 { 1.0 } else { 0.0 })
    } else if first < last {
        Axis::between(first, last, 1.0)
    } else if first.is_finite() {
        Axis::at(first)
    } else {
        Axis::between(0.0, 1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::callbacks::callback::{Callback, CallbackState};

    fn history(epochs: usize, curves: &[(&str, &[f64])]) -> History {
        let curves = curves.iter().map(|&(name, values)| (name.to_owned(), values.to_vec()));
        History { epoch: (0..epochs).collect(), history: curves.collect() }
    }

    fn steps(points: usize) -> StepHistory {
        let point = |step: usize| {
            let (epoch, batch) = (step / 4, step % 4);
            format!(
                r#"{{"step":{},"epoch":{epoch},"batch":{batch},"loss":{},"learning_rate":0.1}}"#,
                step + 1,
                4 + step
            )
        };
        let points: Vec<String> = (0..points).map(point).collect();
        let json = format!(
            r#"{{"points":[{}],"stride":1,"step":0,"pending":{{"total":0,"count":0}},
                "in_epoch":{{"total":0,"count":0}},"steps_per_epoch":4}}"#,
            points.join(",")
        );
        let json = serde_json::from_str(&json).unwrap();
        let mut steps = StepHistory::new();
        let state = CallbackState { json, weights: None };
        Callback::restore(&mut steps, state).unwrap();
        steps
    }

    /// Values of an element's attribute, for every occurrence of the element.
    fn attributes<'a>(svg: &'a str, element: &str, attribute: &str) -> Vec<&'a str> {
        let opening = format!("<{element}");
        let name = format!(" {attribute}=\"");
        let tags = svg.split(&opening).skip(1).map(|rest| &rest[..rest.find('>').unwrap()]);
        tags.filter_map(|tag| tag.split(&name).nth(1)?.split('"').next()).collect()
    }

    /// Asserts that every tag is closed in order, and that text has no bare `<` or `&`.
    fn check_well_formed(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some(start) = rest.find('<') {
            check_escaped(&rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            check_escaped(tag);
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "</{name}>");
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    }

    fn check_escaped(text: &str) {
        for part in text.split('&').skip(1) {
            let entities = ["lt;", "gt;", "amp;", "quot;"];
            assert!(entities.iter().any(|entity| part.starts_with(entity)), "&{part}");
        }
        assert!(!text.contains('<'), "{text}");
    }

    #[test]
    fn every_curve_is_a_line_in_the_panel_of_its_metric() {
        let history = history(
            3,
            &[
                ("learning_rate", &[0.1, 0.1, 0.05]),
                ("accuracy", &[0.25, 0.5, 0.75]),
                ("loss", &[3.0, 2.0, 1.0]),
                ("val_accuracy", &[0.25, 0.25, 0.5]),
                ("val_loss", &[3.0, 2.5, 2.0]),
            ],
        );
        let titles: Vec<_> = panels(&history, None).into_iter().map(|panel| panel.title).collect();
        assert_eq!(titles, ["loss", "accuracy", "learning_rate"]);
        let svg = history.to_svg();
        check_well_formed(&svg);
        let lines = attributes(&svg, "polyline", "points");
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|points| points.split(' ').count() == 3), "{lines:?}");
        let heights: Vec<f64> = lines[0]
            .split(' ')
            .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
            .collect();
        assert!(heights.is_sorted(), "a falling loss goes down the page: {heights:?}");
        assert!(attributes(&svg, "text", "class").contains(&"title"));
    }

    #[test]
    fn one_epoch_is_a_point() {
        let svg = history(1, &[("loss", &[3.0])]).to_svg();
        check_well_formed(&svg);
        assert!(attributes(&svg, "polyline", "points").is_empty());
        assert_eq!(attributes(&svg, "circle", "class"), ["training"]);
        assert!(svg.contains(">1</text>") && !svg.contains(">0</text>"), "counted from 1");
    }

    #[test]
    fn what_is_no_number_leaves_a_gap() {
        let losses = [5.0, 4.0, f64::NAN, 3.0, 2.0, f64::INFINITY, 1.0];
        let svg = history(7, &[("loss", &losses)]).to_svg();
        check_well_formed(&svg);
        assert_eq!(attributes(&svg, "polyline", "points").len(), 2);
        assert_eq!(attributes(&svg, "circle", "class").len(), 5);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        for history in [history(2, &[("loss", &[f64::NAN; 2])]), History::default()] {
            let svg = history.to_svg();
            check_well_formed(&svg);
            assert!(svg.contains("nothing to draw"), "{svg}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let svg = history(1, &[("a<b>&\"c\"\u{1}", &[1.0])]).to_svg();
        check_well_formed(&svg);
        assert!(svg.contains("a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}"));
    }

    #[test]
    fn steps_lie_within_their_epochs() {
        let history = history(2, &[("loss", &[5.5, 9.5])]);
        let panels = panels(&history, Some(&steps(8)));
        let loss = &panels[0].curves;
        assert_eq!((loss[0].kind, loss[1].kind), (Kind::Steps, Kind::Training));
        assert_eq!(loss[0].points[..2], [(0.25, 4.0), (0.5, 5.0)]);
        assert_eq!(loss[0].points[7], (2.0, 11.0), "the last step is where its epoch is");
        assert_eq!(loss[1].points, [(1.0, 5.5), (2.0, 9.5)]);
        assert_eq!(panels[1].title, "learning_rate");
        let svg = plot(&history, Some(&steps(8)));
        check_well_formed(&svg);
        assert_eq!(attributes(&svg, "polyline", "points").len(), 3);
        let unfinished = plot(&History::default(), Some(&steps(3)));
        check_well_formed(&unfinished);
        assert_eq!(attributes(&unfinished, "polyline", "points").len(), 2);
    }

    #[test]
    fn a_validation_every_other_epoch_stands_at_these() {
        let positions = |count| positions(&[0, 1, 2, 3, 4], count).collect::<Vec<_>>();
        assert_eq!(positions(5), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(positions(2), [2.0, 4.0]);
        assert_eq!(positions(1), [3.0]);
        assert_eq!(positions(4), [2.0, 3.0, 4.0, 5.0], "no rhythm: the last ones");
        assert!(positions(0).is_empty());
    }
}
