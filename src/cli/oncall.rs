//! `quell oncall`: who is on call now and next. Exit 1 where something keeps the rota from working.

use serde_json::Value;

use super::client::{Client, block_on};
use super::lists::How;
use super::output::Output;
use super::{Format, Verdict};
use crate::model::text::tame_field;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    how: How,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let client = Client::new(&args.how.server)?;
    let shown = block_on(async { client.get("/v1/oncall").await })?;
    match args.how.format {
        Format::Json => output.json(&shown)?,
        Format::Text => output.data(&text(&shown))?,
    }
    let fine = list(&shown["problems"]).next().is_none();
    Ok(if fine { Verdict::Fine } else { Verdict::Problems })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn say(value: &Value) -> String {
    tame_field(value.as_str().unwrap_or_default())
}

fn names(people: &Value) -> String {
    let name = |person: &Value| match (person["name"].as_str(), person["stands_in"].as_str()) {
        (Some(name), Some(other)) => format!("{} (for {})", tame_field(other), tame_field(name)),
        (Some(name), None) => tame_field(name),
        (None, _) => say(person),
    };
    let names: Vec<String> = list(people).map(name).collect();
    if names.is_empty() { "NOBODY".to_owned() } else { names.join(", ") }
}

fn text(shown: &Value) -> String {
    let mut lines = Vec::new();
    for level in list(&shown["now"]) {
        lines.push(format!("{:<8}{}", say(&level["level"]), names(&level["people"])));
    }
    if lines.is_empty() {
        lines.push("There is no rota: everybody who may decide is asked at once.".to_owned());
    }
    if let Some(connection) = shown["pager"]["connection"].as_str() {
        let said = match shown["pager"]["why"].as_str() {
            None => format!("{} says so below the last level", tame_field(connection)),
            Some(why) => format!("{} is not believed: {}", tame_field(connection), tame_field(why)),
        };
        lines.push(said);
    }
    let turns: Vec<String> = list(&shown["turns"])
        .map(|turn| {
            let (from, until) = (say(&turn["from"]), say(&turn["until"]));
            let level = say(&turn["level"]);
            format!("  {from}  {until}  {level:<8}{}", names(&turn["people"]))
        })
        .collect();
    if !turns.is_empty() {
        lines.push(format!("\nTurns (UTC):\n{}", turns.join("\n")));
    }
    let stand_ins: Vec<String> = list(&shown["stand_ins"])
        .map(|one| {
            let (of, by, until) = (say(&one["of"]), say(&one["by"]), say(&one["until"]));
            format!("  {by} for {of} until {until}")
        })
        .collect();
    if !stand_ins.is_empty() {
        lines.push(format!("\nStanding in:\n{}", stand_ins.join("\n")));
    }
    let problems: Vec<String> =
        list(&shown["problems"]).map(|problem| format!("  {}", say(problem))).collect();
    if !problems.is_empty() {
        lines.push(format!("\nProblems:\n{}", problems.join("\n")));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn gaps_stand_ins_and_problems_are_plain_to_see() {
        let shown = text(&json!({
            "now": [
                {"level": "first", "people": [{"name": "olga", "by": "rota", "stands_in": "pete"}]},
                {"level": "lead", "people": []},
            ],
            "pager": {"connection": "pd", "believed": false, "why": "no answer in time"},
            "turns": [{"level": "first", "people": ["olga"], "from": "A", "until": "B"}],
            "stand_ins": [{"of": "olga", "by": "pete", "until": "C"}],
            "problems": ["`rami` has a turn to come and has no passkey"],
        }));

        for part in [
            "first   pete (for olga)\n",
            "lead    NOBODY\n",
            "pd is not believed: no answer in time",
            "  A  B  first   olga",
            "  pete for olga until C",
            "  `rami` has a turn to come and has no passkey",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }
}
