//! Curves as SVG: what grows on a logarithmic scale to the right, the cost upwards from nothing.

use std::fmt::Write as _;

use super::Growth;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 8] = [
    "#1b6ca8", "#c0392b", "#27864a", "#8e44ad", "#b9770e", "#16808a", "#7f4f24", "#555555",
];

pub fn svg(growth: &Growth) -> String {
    let scale = Scale::of(growth);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let title = format!("{}: {}", growth.title, growth.y);
    text(&mut svg, LEFT, TOP - 18.0, "start", "#000", &title);
    axes(&mut svg, growth, &scale);
    for (number, curve) in growth.curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut points = String::new();
        for (x, y) in &curve.points {
            let _ = write!(points, "{:.1},{:.1} ", scale.x(*x), scale.y(*y));
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.trim_end()
        );
        let line = TOP + 16.0 * number as f64;
        text(
            &mut svg,
            WIDTH - RIGHT + 14.0,
            line,
            "start",
            colour,
            &curve.name,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, growth: &Growth, scale: &Scale) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for step in 0..=4 {
        let value = scale.top * f64::from(step) / 4.0;
        let y = scale.y(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
        );
        let label = if scale.top < 40.0 {
            format!("{value:.2}")
        } else {
            format!("{value:.0}")
        };
        text(svg, LEFT - 8.0, y + 4.0, "end", "#555", &label);
    }
    // The longest curve names the points of the axis.
    let longest = growth.curves.iter().max_by_key(|curve| curve.points.len());
    for (x, _) in longest.iter().flat_map(|curve| &curve.points) {
        text(
            svg,
            scale.x(*x),
            bottom + 18.0,
            "middle",
            "#555",
            &x.to_string(),
        );
    }
    let middle = (LEFT + right) / 2.0;
    text(svg, middle, bottom + 38.0, "middle", "#000", growth.x);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    );
}

/// From values to places.
struct Scale {
    from: f64,
    to: f64,
    top: f64,
}

impl Scale {
    fn of(growth: &Growth) -> Self {
        let points = || growth.curves.iter().flat_map(|curve| &curve.points);
        let log = |x: usize| (x.max(1) as f64).ln();
        let least = points().map(|(x, _)| log(*x)).fold(f64::MAX, f64::min);
        let most = points().map(|(x, _)| log(*x)).fold(f64::MIN, f64::max);
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
        Self {
            from: least,
            to: most.max(least + 1.0),
            top: top * 1.1,
        }
    }

    fn x(&self, value: usize) -> f64 {
        let part = ((value.max(1) as f64).ln() - self.from) / (self.to - self.from);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)
    }
}
