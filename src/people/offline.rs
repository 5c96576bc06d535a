//! Checks a decision again with nothing but the journal: who signed precisely what.
//!
//! The signature is verified by the same library as when it was made, against a state
//! rebuilt from the statement; no clock, no server and no database takes part.

use serde_json::Value;
use webauthn_rs::prelude::{PublicKeyCredential, Url};

use super::bind::bind;
use super::sign_in::passkey;
use super::webauthn_for;
use crate::approval::statement::{deed_challenge, root, sha256_hex, signed_challenge};
use crate::model::approval::{Signed, Statement};
use crate::model::deed::SignedDeed;
use crate::model::entry::{ApprovalDecided, ApprovalVoted, PersonEnrolled};
use crate::model::run::CellKey;

/// Why a decision in the journal does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Invalid {
    #[error("the statement's {0} does not match what is recorded beside it")]
    Statement(&'static str),
    #[error("the recorded {0} cannot be read")]
    Unreadable(&'static str),
    #[error("it was signed at `{0}`, which is not this deployment's address")]
    Origin(String),
    #[error("the signature does not hold: {0}")]
    Signature(String),
    #[error("the passkey is not the one that {0} had enrolled")]
    Credential(String),
}

/// Whether the assertion is a verified person's signature over exactly this statement.
pub(crate) fn verify_signed(signed: &Signed) -> Result<(), Invalid> {
    let statement = &signed.statement;
    if root(&statement.items) != statement.root {
        return Err(Invalid::Statement("root"));
    }
    if sha256_hex(signed.justification.as_bytes()) != statement.justification {
        return Err(Invalid::Statement("justification"));
    }
    let challenge = signed_challenge(signed).ok_or(Invalid::Statement("others"))?;
    verify_assertion(challenge, &statement.rp, &signed.assertion, &signed.credential)
}

/// Whether an act was signed by the passkey that this person had enrolled then.
pub(crate) fn verify_deed(deed: &SignedDeed, person: &PersonEnrolled) -> Result<(), Invalid> {
    let statement = &deed.statement;
    if statement.person != person.person || deed.by_name != person.name {
        return Err(Invalid::Statement("person"));
    }
    if person.passkey != deed.credential {
        return Err(Invalid::Credential(person.name.clone()));
    }
    verify_assertion(deed_challenge(statement), &statement.rp, &deed.assertion, &deed.credential)
}

fn verify_assertion(
    challenge: [u8; 32],
    rp: &str,
    assertion: &Value,
    credential: &Value,
) -> Result<(), Invalid> {
    let key = passkey(credential).ok_or(Invalid::Unreadable("passkey"))?;
    let answer: PublicKeyCredential =
        serde_json::from_value(assertion.clone()).map_err(|_| Invalid::Unreadable("assertion"))?;
    let origin = origin(&answer, rp)?;
    let broken = |e: &dyn std::fmt::Display| Invalid::Signature(e.to_string());
    let webauthn = webauthn_for(&origin).map_err(|e| broken(&e))?;
    let (mut options, state) =
        webauthn.start_passkey_authentication(&[key]).map_err(|e| broken(&e))?;
    let state = bind(&mut options, &state, challenge).map_err(|e| broken(&e))?;
    webauthn.finish_passkey_authentication(&answer, &state).map_err(|e| broken(&e))?;
    Ok(())
}

/// [`verify_signed`], and that the answer in the journal is the one that was signed, by the
/// passkey that this person had enrolled then.
pub(crate) fn verify_voted(voted: &ApprovalVoted, person: &PersonEnrolled) -> Result<(), Invalid> {
    let (statement, vote) = (&voted.signed.statement, &voted.vote);
    let matches = [
        ("approval", statement.approval == voted.approval),
        ("incident", statement.incident == voted.incident),
        ("approver", statement.approver == vote.by && person.person == vote.by),
        ("decision", statement.decision == vote.decision),
        ("items", are_signed(&vote.cells, statement)),
    ];
    settled(&matches, &voted.signed, person)
}

fn are_signed(cells: &[CellKey], statement: &Statement) -> bool {
    cells.iter().all(|cell| {
        let mut items = statement.items.iter();
        items.any(|item| item.step == cell.step.0 && item.item == cell.item)
    })
}

fn settled(
    matches: &[(&'static str, bool)],
    signed: &Signed,
    person: &PersonEnrolled,
) -> Result<(), Invalid> {
    if let Some((what, _)) = matches.iter().find(|(_, holds)| !holds) {
        return Err(Invalid::Statement(what));
    }
    if person.passkey != signed.credential {
        return Err(Invalid::Credential(person.name.clone()));
    }
    verify_signed(signed)
}

/// [`verify_signed`], and that the decision in the journal is the one that was signed, by the
/// passkey that this person had enrolled then.
pub(crate) fn verify_decided(
    decided: &ApprovalDecided,
    person: &PersonEnrolled,
) -> Result<(), Invalid> {
    let statement = &decided.signed.statement;
    let matches = [
        ("approval", statement.approval == decided.approval),
        ("incident", statement.incident == decided.incident),
        ("approver", statement.approver == decided.by && person.person == decided.by),
        ("decision", is_as_signed(decided)),
        ("items", are_signed(&decided.granted, statement)),
    ];
    settled(&matches, &decided.signed, person)
}

fn is_as_signed(decided: &ApprovalDecided) -> bool {
    use crate::model::approval::{ApprovalState, Decision};
    match decided.signed.statement.decision {
        Decision::Approve => decided.state == ApprovalState::Approved,
        Decision::Deny => decided.state == ApprovalState::Denied && decided.granted.is_empty(),
    }
}

/// The origin that the browser vouched for; its host must be the statement's.
fn origin(answer: &PublicKeyCredential, rp: &str) -> Result<Url, Invalid> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ClientData {
        origin: String,
        #[serde(default)]
        cross_origin: bool,
    }
    let client: ClientData = serde_json::from_slice(&answer.response.client_data_json)
        .map_err(|_| Invalid::Unreadable("client data"))?;
    let foreign = || Invalid::Origin(client.origin.clone());
    let origin = Url::parse(&client.origin).map_err(|_| foreign())?;
    if origin.domain() != Some(rp) || client.cross_origin {
        return Err(foreign());
    }
    Ok(origin)
}
