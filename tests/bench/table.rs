//! The figures, each beside its bar.

use std::fmt;

/// One line.
struct Row {
    figure: String,
    floor: Option<f64>,
    quell: f64,
    bar: String,
    reached: bool,
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// A figure that may be so many times the floor's.
    pub(crate) fn slower(&mut self, figure: &str, floor: f64, quell: f64, bar: f64) {
        self.row(figure, Some(floor), quell, format!("≤ {bar} ×"), quell <= floor * bar);
    }

    /// A figure that must be so many times the floor's.
    pub(crate) fn faster(&mut self, figure: &str, floor: f64, quell: f64, bar: f64) {
        self.row(figure, Some(floor), quell, format!("≥ {bar} ×"), quell >= floor * bar);
    }

    /// A figure with a bar of its own that it may not exceed.
    pub(crate) fn count(&mut self, figure: &str, quell: f64, bar: f64) {
        self.row(figure, None, quell, format!("≤ {bar}"), quell <= bar);
    }

    /// A figure with a bar of its own that it must reach.
    pub(crate) fn least(&mut self, figure: &str, quell: f64, bar: f64) {
        self.row(figure, None, quell, format!("≥ {bar}"), quell >= bar);
    }

    fn row(&mut self, figure: &str, floor: Option<f64>, quell: f64, bar: String, reached: bool) {
        self.0.push(Row { figure: figure.to_owned(), floor, quell, bar, reached });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | floor | Quell | ratio | bar | reached |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.0 {
            let floor = row.floor.map(|floor| format!("{floor:.3}")).unwrap_or_default();
            let ratio =
                row.floor.map(|floor| format!("{:.2}", row.quell / floor)).unwrap_or_default();
            let reached = if row.reached { "yes" } else { "no" };
            let Row { figure, quell, bar, .. } = row;
            writeln!(f, "| {figure} | {floor} | {quell:.3} | {ratio} | {bar} | {reached} |")?;
        }
        Ok(())
    }
}
