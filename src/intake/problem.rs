//! What can be wrong with a delivery or with one record of it, each with a stable slug and an HTTP status.
//!
//! Knows no HTTP framework: a status is a number here, and the server writes the answer.

/// Why a delivery, or one record in it, was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    /// No such source is configured. Told exactly like [`Problem::WrongSignature`].
    #[error("the delivery does not prove that it comes from this source")]
    UnknownSource,
    #[error("the delivery does not prove that it comes from this source")]
    WrongSignature,
    #[error("the delivery carries no `{0}` header, or more than one")]
    MissingSignature(String),
    #[error("the delivery's timestamp is more than {0} s old or ahead")]
    StaleTimestamp(i64),
    #[error("the body is longer than {cap} bytes")]
    BodyTooLarge { cap: usize },
    #[error("the body's content encoding `{0}` is not supported: send it plain or as gzip")]
    WrongEncoding(String),
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    #[error("the body is not a complete gzip stream")]
    BadGzip,
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("the CSV cannot be read: {0}")]
    NotCsv(String),
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("more than {0} records in one delivery")]
    TooManyRecords(usize),
    /// JSON, but not a record of this source's kind.
    #[error("not a record of this kind: {0}")]
    UnknownShape(String),
    #[error("`{0}` is missing")]
    MissingField(&'static str),
    #[error("`{field}` cannot be used: {why}")]
    BadField { field: String, why: String },
    /// A security event token was refused, in RFC 8935's terms.
    #[error("{why}")]
    Set { error: SetError, why: String },
    /// A security event token is signed by no key that is known now, and might be by one that is not read yet.
    #[error("{why}")]
    UnknownKey { error: SetError, why: &'static str },
    /// A token's delivery says `kind=mapping`, and its source has none.
    #[error("this source has no mapping")]
    NoMapping,
    #[error("its time is more than five minutes ahead")]
    FutureTime,
}

/// Why a security event token was refused (RFC 8935, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetError {
    InvalidRequest,
    InvalidKey,
    InvalidIssuer,
    InvalidAudience,
    AuthenticationFailed,
}

impl SetError {
    pub(crate) const ALL: [Self; 5] = [
        Self::InvalidRequest,
        Self::InvalidKey,
        Self::InvalidIssuer,
        Self::InvalidAudience,
        Self::AuthenticationFailed,
    ];

    fn slug(self) -> &'static str {
        match self {
            Self::InvalidRequest => "set-invalid-request",
            Self::InvalidKey => "set-invalid-key",
            Self::InvalidIssuer => "set-invalid-issuer",
            Self::InvalidAudience => "set-invalid-audience",
            Self::AuthenticationFailed => "set-authentication-failed",
        }
    }

    /// The code that the transmitter is told.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
        }
    }

    /// The error that a problem's slug names.
    pub(crate) fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.slug() == slug)
    }
}

impl Problem {
    /// Whether another secret, or another key, might prove the same delivery.
    pub(crate) fn is_about_the_secret(&self) -> bool {
        matches!(self, Self::WrongSignature | Self::UnknownKey { .. })
            || matches!(self, Self::Set { error: SetError::InvalidKey, .. })
            || matches!(self, Self::Set { error: SetError::AuthenticationFailed, .. })
    }

    /// The stable name: the last part of the problem's `type` URL, and a metric label.
    pub(crate) fn slug(&self) -> &'static str {
        match self {
            Self::UnknownSource | Self::WrongSignature => "wrong-signature",
            Self::MissingSignature(_) => "missing-signature",
            Self::StaleTimestamp(_) => "stale-timestamp",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::WrongEncoding(_) => "wrong-encoding",
            Self::NotUtf8 => "not-utf8",
            Self::BadGzip => "bad-gzip",
            Self::NotJson(_) => "not-json",
            Self::NotCsv(_) => "not-csv",
            Self::TooDeep(_) => "too-deep",
            Self::TooManyRecords(_) => "too-many-records",
            Self::UnknownShape(_) => "unknown-shape",
            Self::MissingField(_) => "missing-field",
            Self::BadField { .. } => "bad-field",
            Self::Set { error, .. } | Self::UnknownKey { error, .. } => error.slug(),
            Self::NoMapping => "no-mapping",
            Self::FutureTime => "future-time",
        }
    }

    /// The HTTP status of a delivery that is refused whole for this reason.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::UnknownSource
            | Self::WrongSignature
            | Self::MissingSignature(_)
            | Self::StaleTimestamp(_) => 401,
            Self::BodyTooLarge { .. } | Self::TooManyRecords(_) => 413,
            Self::WrongEncoding(_) => 415,
            Self::Set { .. }
            | Self::UnknownKey { .. }
            | Self::NotUtf8
            | Self::BadGzip
            | Self::NotJson(_)
            | Self::NotCsv(_) => 400,
            Self::TooDeep(_)
            | Self::UnknownShape(_)
            | Self::MissingField(_)
            | Self::BadField { .. }
            | Self::NoMapping
            | Self::FutureTime => 422,
        }
    }

    /// What a stranger may be told: a caller that proved nothing learns neither which
    /// sources exist nor which header they expect.
    pub(crate) fn public(self) -> Self {
        match self {
            Self::UnknownSource | Self::MissingSignature(_) => Self::WrongSignature,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the answer tells a stranger which sources are configured.
    #[test]
    fn an_unknown_source_is_answered_like_a_wrong_signature() {
        for hidden in [Problem::UnknownSource, Problem::MissingSignature("x-sig".into())] {
            let told = hidden.public();

            assert_eq!(told, Problem::WrongSignature);
            assert_eq!(told.status(), 401);
        }
        assert_eq!(Problem::UnknownSource.to_string(), Problem::WrongSignature.to_string());
    }
}
