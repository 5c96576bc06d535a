//! Replays the exchanges in `connectors/*/exchanges/` through the pure pieces, without a network.
//!
//! A case says what a call sends, what the vendor answers, and what that means; it is
//! marked by how we know: `documented` by the vendor, `recorded` from a live system, or
//! `assumed`. `quell connector check` prints the table that [`run`] returns.

mod case;
mod replay;

use serde::Serialize;

use super::builtin::File;
use super::catalogue::Catalogue;
use case::Exchange;

/// How we know that the vendor does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Marked {
    Documented,
    Recorded,
    Assumed,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) connector: String,
    pub(crate) action: String,
    pub(crate) case: String,
    pub(crate) marked: Marked,
    pub(crate) link: String,
    /// What differs; none if the manifest keeps the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// Replays every exchange. An unreadable file is a line with a problem.
pub(crate) fn run(catalogue: &Catalogue, exchanges: impl IntoIterator<Item = File>) -> Vec<Line> {
    exchanges.into_iter().flat_map(|(path, text)| file(catalogue, &path, &text)).collect()
}

fn file(catalogue: &Catalogue, path: &str, text: &str) -> Vec<Line> {
    let connector = path.split('/').next().unwrap_or_default().to_owned();
    let broken = |problem: String| {
        vec![Line {
            connector: connector.clone(),
            action: path.to_owned(),
            case: "the file".into(),
            marked: Marked::Assumed,
            link: String::new(),
            problem: Some(problem),
        }]
    };
    let exchange: Exchange = match serde_saphyr::from_str(text) {
        Ok(exchange) => exchange,
        Err(error) => return broken(error.to_string()),
    };
    let name = format!("{connector}/{}", exchange.action);
    let Some((described, action)) = catalogue.action(&name) else {
        return broken(format!("there is no action `{name}`"));
    };
    exchange
        .cases
        .iter()
        .map(|case| Line {
            connector: connector.clone(),
            action: exchange.action.clone(),
            case: case.name.clone(),
            marked: case.marked,
            link: case.link.clone().unwrap_or_else(|| exchange.link.clone()),
            problem: replay::case(described, action, &exchange, case).err(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::builtin;
    use std::collections::BTreeSet;

    fn table() -> (Catalogue, Vec<Line>) {
        let catalogue = Catalogue::builtin().unwrap();
        let lines = run(&catalogue, builtin::exchanges());
        (catalogue, lines)
    }

    #[test]
    fn every_manifest_keeps_its_contract() {
        let (_, lines) = table();
        let broken: Vec<String> = lines
            .iter()
            .filter_map(|l| {
                Some(format!("{}/{}: {}: {}", l.connector, l.action, l.case, l.problem.as_ref()?))
            })
            .collect();

        assert!(broken.is_empty(), "{}", broken.join("\n"));
        assert!(lines.len() >= 120, "only {} cases", lines.len());
    }

    #[test]
    fn every_action_has_a_contract() {
        let (catalogue, lines) = table();
        let covered: BTreeSet<_> =
            lines.iter().map(|l| format!("{}/{}", l.connector, l.action)).collect();
        let all: BTreeSet<_> = catalogue
            .connectors
            .iter()
            .flat_map(|(name, c)| c.actions.keys().map(move |a| format!("{name}/{a}")))
            .collect();

        assert_eq!(covered, all);
    }

    #[test]
    fn a_broken_contract_is_told_apart() {
        let catalogue = Catalogue::builtin().unwrap();
        let (path, text) = builtin::exchanges()
            .find(|(p, _)| p == "entra-id/exchanges/block-sign-in.yaml")
            .unwrap();

        let lines = run(&catalogue, [(path, text.replace("method: PATCH", "method: PUT"))]);

        assert!(lines.iter().all(|l| l.problem.as_ref().is_some_and(|p| p.contains("method"))));
    }
}
