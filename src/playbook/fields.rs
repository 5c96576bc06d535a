//! What expressions may name, and of what type it is. The engine's context has exactly these.

use crate::model::action::ValueType;

/// Something that an expression can name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field {
    Value(ValueType),
    Account,
    Factor,
    Record(&'static [Named]),
    List(&'static Field),
}

pub(crate) type Named = (&'static str, Field);

const STRING: Field = Field::Value(ValueType::String);
const TIME: Field = Field::Value(ValueType::Time);
const BOOLEAN: Field = Field::Value(ValueType::Boolean);
const INTEGER: Field = Field::Value(ValueType::Integer);

/// Names that are always there. `item` and `steps` depend on the step.
pub(crate) const ROOTS: &[Named] = &[
    ("incident", Field::Record(INCIDENT)),
    ("subject", Field::Record(SUBJECT)),
    ("alert", Field::Record(ALERT)),
    ("report", Field::Record(REPORT)),
];

pub(crate) const INCIDENT: &[Named] = &[
    ("id", STRING),
    ("stage", STRING),
    ("severity", STRING),
    ("approval", STRING),
    ("password_exposed", BOOLEAN),
    ("hostile_factors", Field::List(&Field::Factor)),
    ("reason", STRING),
    ("opened_at", TIME),
    ("first_event_at", TIME),
    ("last_evidence_at", TIME),
    ("counts", Field::Record(COUNTS)),
    ("campaign", Field::Record(CAMPAIGN)),
];

/// Of an incident that belongs to none, `people` is 0 and the rest is empty.
pub(crate) const CAMPAIGN: &[Named] = &[("id", STRING), ("key", STRING), ("people", INTEGER)];

pub(crate) const COUNTS: &[Named] = &[
    ("events", INTEGER),
    ("denied", INTEGER),
    ("timed_out", INTEGER),
    ("wrong_answer", INTEGER),
    ("approved", INTEGER),
    ("alerts", INTEGER),
    ("reports", INTEGER),
];

pub(crate) const SUBJECT: &[Named] = &[
    ("id", STRING),
    ("name", STRING),
    ("privileged", BOOLEAN),
    ("protected", BOOLEAN),
    ("accounts", Field::List(&Field::Account)),
];

pub(crate) const ACCOUNT: &[Named] = &[
    ("id", STRING),
    ("connection", STRING),
    ("provider_id", STRING),
    ("login", STRING),
    ("name", STRING),
    ("authority", STRING),
    ("status", STRING),
    ("privileged", BOOLEAN),
];

pub(crate) const FACTOR: &[Named] =
    &[("account", Field::Account), ("id", STRING), ("kind", STRING), ("added_at", TIME)];

pub(crate) const ALERT: &[Named] = &[
    ("id", STRING),
    ("kind", STRING),
    ("account", Field::Record(ACCOUNT_NAME)),
    ("time", TIME),
    ("stage", STRING),
    ("reason", STRING),
    ("rule", STRING),
    ("link", STRING),
];

pub(crate) const REPORT: &[Named] = &[
    ("id", STRING),
    ("account", Field::Record(ACCOUNT_NAME)),
    ("time", TIME),
    ("proof", STRING),
    ("text", STRING),
];

pub(crate) const ACCOUNT_NAME: &[Named] = &[("provider_id", STRING), ("login", STRING)];

/// What is known of a step that has concluded.
pub(crate) const STEP: &[&str] = &["outcome", "conclusion", "output"];

impl Field {
    pub(crate) fn fields(self) -> Option<&'static [Named]> {
        match self {
            Self::Account => Some(ACCOUNT),
            Self::Factor => Some(FACTOR),
            Self::Record(fields) => Some(fields),
            Self::Value(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn value_type(self) -> ValueType {
        match self {
            Self::Value(kind) => kind,
            Self::Account => ValueType::Account,
            Self::Factor => ValueType::Factor,
            Self::Record(_) => ValueType::Object,
            Self::List(_) => ValueType::List,
        }
    }

    /// Follows a path; `Err` is the number of parts that were found before one was not.
    pub(crate) fn follow<'p>(
        self,
        path: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, (usize, Self)> {
        let mut here = self;
        for (n, part) in path.into_iter().enumerate() {
            let next =
                here.fields().and_then(|fields| fields.iter().find(|(name, _)| *name == part));
            here = next.map(|(_, field)| *field).ok_or((n, here))?;
        }
        Ok(here)
    }
}

pub(crate) fn root(name: &str) -> Option<Field> {
    ROOTS.iter().find(|(root, _)| *root == name).map(|(_, field)| *field)
}
