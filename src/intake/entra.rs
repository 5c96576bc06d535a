//! Entra ID records: sign-ins, audit and risk, in every wrapping in which they travel.
//!
//! Microsoft Graph objects, Event Hub `records` (facts under `properties`), Log Analytics
//! columns (objects as JSON in strings) and the portal's CSV export all name the same fields;
//! [`Fields`] reads them alike. One sign-in is many records, and one record lists many
//! steps: `signin` sorts that out, `audit` reads the rest.

mod audit;
mod risk;
mod signin;
mod steps;

use serde_json::Value;
use std::borrow::Cow;

use super::client;
use super::json::{at, content_id, embedded, event_id, get, text, time};
use super::parsed::Verdict;
use super::problem::Problem;
use crate::model::event::AccountName;
use crate::model::id::EventId;
use crate::model::time::Time;

/// What stands in for an id that was scrubbed.
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

pub(super) fn record(row: &Value, _received_at: Time) -> Result<Verdict, Problem> {
    if !row.is_object() {
        return Err(Problem::UnknownShape("it is not an object".into()));
    }
    let fields = Fields::of(row);
    let category = fields.text(&["category"]).unwrap_or_default().to_lowercase();
    let operation = fields
        .text(&["activityDisplayName"])
        .or_else(|| fields.text(&["operationName"]))
        .unwrap_or_default();
    if category.contains("serviceprincipal") || category.contains("managedidentity") {
        Ok(Verdict::irrelevant("a workload's sign-in, not a person's"))
    } else if fields.has("riskEventType") && fields.has("detectedDateTime")
        || matches!(category.as_str(), "userriskevents" | "riskdetections")
    {
        risk::record(&fields)
    } else if category.contains("signinlogs")
        || operation.eq_ignore_ascii_case("Sign-in activity")
        || fields.has("userPrincipalName") && (fields.has("status") || fields.has("resultType"))
    {
        signin::record(&fields, &category)
    } else if fields.has("targetResources")
        || fields.has("activityDisplayName")
        || !operation.is_empty()
    {
        audit::record(&fields, operation.trim())
    } else {
        Err(Problem::UnknownShape("neither a sign-in, an audit entry nor a risk detection".into()))
    }
}

/// One record, whatever its wrapping.
struct Fields<'v> {
    row: &'v Value,
    properties: Cow<'v, Value>,
}

impl<'v> Fields<'v> {
    fn of(row: &'v Value) -> Self {
        let properties = get(row, "properties").map_or(Cow::Owned(Value::Null), embedded);
        Self { row, properties }
    }

    /// A field by the name that Graph gives it.
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        let found = get(&self.properties, name).or_else(|| get(self.row, name));
        // The CSV export splits a column by what it holds, and writes the zone into its name.
        let found = found.or_else(|| get(self.row, &format!("{name}_dynamic")));
        let found = found.or_else(|| get(self.row, &format!("{name}_string")));
        let found = found.or_else(|| get(self.row, &format!("{name} [UTC]")));
        found.map(embedded)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn text(&self, path: &[&str]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let value = self.get(first)?;
        at(&value, rest).and_then(text)
    }

    fn time(&self, names: &[&str]) -> Option<Time> {
        names.iter().find_map(|name| time(self.get(name)?.as_ref()))
    }

    fn account(&self) -> Result<AccountName, Problem> {
        let name = AccountName {
            provider_id: self.text(&["userId"]).filter(|id| id != ZERO),
            login: self.text(&["userPrincipalName"]).map(|login| login.to_lowercase()),
        };
        if name == AccountName::default() {
            return Err(Problem::MissingField("userPrincipalName"));
        }
        Ok(name)
    }

    /// The client software, wherever sign-ins, audit entries and risk detections keep it.
    fn client(&self) -> Option<String> {
        let pairs = |name| client::listed(self.get(name)?.as_ref(), &["User-Agent", "userAgent"]);
        let raw = self.text(&["userAgent"]);
        let raw = raw.or_else(|| pairs("additionalDetails")).or_else(|| pairs("additionalInfo"));
        let said = |name| self.text(&["deviceDetail", name]);
        client::said(said("browser"), said("operatingSystem"), raw)
    }

    /// The record's id with what tells several facts of it apart.
    fn id(&self, suffix: &str) -> EventId {
        match self.text(&["id"]).filter(|id| id != ZERO) {
            Some(id) if suffix.is_empty() => event_id("entra", &id),
            Some(id) => event_id("entra", &format!("{id}:{suffix}")),
            None => {
                let whole = content_id("entra", self.row);
                if suffix.is_empty() { whole } else { EventId::new(format!("{whole}:{suffix}")) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
