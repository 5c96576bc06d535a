//! From bytes to rows: inflating under a cap, UTF-8, depth and count limits, and the three
//! ways in which records are put together (one document, an array or wrapper, one a line).
//!
//! Where an object names a key twice, the last one counts, as in every JSON parser the
//! senders test against.

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use std::io::Read as _;

use super::problem::Problem;
use crate::model::text::tame_field;

/// Deepest nesting that is read.
pub(crate) const DEPTH_MAX: usize = 64;
/// Most records that one delivery may hold.
pub(crate) const RECORDS_MAX: usize = 10_000;

/// Records as they came, each readable or not.
pub(super) type Rows = Vec<Result<Value, Problem>>;

/// Inflates a gzip body; stops as soon as more than `cap` bytes come out.
pub(super) fn gunzip(body: &[u8], cap: usize) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut out).map_err(|_| Problem::BadGzip)?;
    if out.len() > cap { Err(Problem::BodyTooLarge { cap }) } else { Ok(out) }
}

/// Splits a body into records. `wrappers` are paths under which an object may hold the array.
pub(super) fn rows<S: AsRef<str>>(
    bytes: &[u8],
    wrappers: &[impl AsRef<[S]>],
    most: usize,
) -> Result<Rows, Problem> {
    let text = plain(bytes)?;
    let rows: Rows = match document(text) {
        Ok(value) => unwrap(value, wrappers).into_iter().map(Ok).collect(),
        Err(problem @ (Problem::NotJson(_) | Problem::TooDeep(_))) => lines(text, most, problem)?,
        Err(problem) => return Err(problem),
    };
    counted(rows, most)
}

/// Lines that are no JSON, each made a record; what is JSON after all is taken as it is, so that
/// records can be sent again as they were read.
pub(super) fn plain_lines(
    bytes: &[u8],
    most: usize,
    record: impl Fn(&str) -> Value,
) -> Result<Rows, Problem> {
    let text = plain(bytes)?;
    if text.starts_with('[')
        && let Ok(Value::Array(rows)) = document(text)
    {
        return counted(rows.into_iter().map(Ok).collect(), most);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.take(most.saturating_add(1));
    counted(lines.map(|line| Ok(record(line))).collect(), most)
}

/// Reads CSV with a header line; every record becomes an object of texts, blanks left out.
pub(super) fn csv_rows(bytes: &[u8], most: usize) -> Result<Rows, Problem> {
    let text = plain(bytes)?;
    let unreadable = |e: &csv::Error| Problem::NotCsv(tame_field(&e.to_string()));
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let names = reader.headers().map_err(|e| unreadable(&e))?.clone();
    let mut rows = Rows::new();
    for record in reader.records().take(most.saturating_add(1)) {
        rows.push(record.map_err(|e| unreadable(&e)).map(|record| object(&names, &record)));
    }
    counted(rows, most)
}

fn object(names: &csv::StringRecord, record: &csv::StringRecord) -> Value {
    let cells = names.iter().zip(record.iter()).filter(|(_, cell)| !cell.trim().is_empty());
    let members = cells.map(|(name, cell)| (name.to_owned(), Value::String(cell.to_owned())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// Whether a body that is no JSON may be CSV.
pub(super) fn looks_like_csv(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    !matches!(first, None | Some(b'{' | b'[')) && line.contains(&b',')
}

/// Reads one JSON document, or says why not.
pub(super) fn document(text: &str) -> Result<Value, Problem> {
    if depth(text) > DEPTH_MAX {
        return Err(Problem::TooDeep(DEPTH_MAX));
    }
    serde_json::from_str(text).map_err(|e| Problem::NotJson(tame_field(&e.to_string())))
}

fn plain(bytes: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).trim())
}

fn counted(rows: Rows, most: usize) -> Result<Rows, Problem> {
    if rows.len() > most { Err(Problem::TooManyRecords(most)) } else { Ok(rows) }
}

/// One record a line. Only when the first line stands alone is the body taken for this form.
fn lines(text: &str, most: usize, whole: Problem) -> Result<Rows, Problem> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return Err(whole) };
    let first = document(first).map_err(|_| whole)?;
    let rest = lines.take(most).map(document);
    Ok(std::iter::once(Ok(first)).chain(rest).collect())
}

fn unwrap<S: AsRef<str>>(value: Value, wrappers: &[impl AsRef<[S]>]) -> Vec<Value> {
    match value {
        Value::Array(rows) => rows,
        mut value => {
            for path in wrappers {
                let mut names = path.as_ref().iter();
                let inner = names.try_fold(&mut value, |v, name| v.get_mut(name.as_ref()));
                if let Some(Value::Array(rows)) = inner {
                    return std::mem::take(rows);
                }
            }
            vec![value]
        }
    }
}

/// Deepest nesting of brackets outside strings. Needs no valid JSON.
pub(super) fn depth(text: &str) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            // A line break cannot stand inside a JSON string: one broken line must not hide the next.
            b'\n' => quoted = false,
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    const NONE: &[&[&str]] = &[];

    fn zip(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_cap() {
        let bomb = zip(&vec![b' '; 4_000_000]);

        assert!(bomb.len() < 10_000);
        assert_eq!(gunzip(&bomb, 65_536), Err(Problem::BodyTooLarge { cap: 65_536 }));
    }

    #[test]
    fn a_cut_gzip_stream_is_refused() {
        let whole = zip(b"{\"a\":1}");

        assert_eq!(gunzip(&whole[..whole.len() - 3], 99), Err(Problem::BadGzip));
        assert_eq!(gunzip(&whole, 99).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        let quoted = format!("{{\"a\":\"{}\"}}", "[".repeat(99));

        assert_eq!(rows(deep.as_bytes(), NONE, RECORDS_MAX), Err(Problem::TooDeep(64)));
        assert_eq!(rows(quoted.as_bytes(), NONE, RECORDS_MAX).unwrap().len(), 1);
    }

    #[test]
    fn one_bad_line_costs_only_itself() {
        let rows = rows(b"{\"a\":1}\n{\"a\":\n\n{\"a\":3}\n", NONE, RECORDS_MAX).unwrap();

        assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_repeated_key_counts_as_its_last_value() {
        let rows = rows(b"{\"a\":1,\"a\":2}", NONE, RECORDS_MAX).unwrap();

        assert_eq!(rows[0].as_ref().unwrap()["a"], 2);
    }

    #[test]
    fn what_is_neither_text_nor_json_says_which() {
        assert_eq!(rows(b"\xff\xfe{}", NONE, RECORDS_MAX).unwrap_err().slug(), "not-utf8");
        assert_eq!(rows(b"hello", NONE, RECORDS_MAX).unwrap_err().slug(), "not-json");
        assert_eq!(rows(b"", NONE, RECORDS_MAX).unwrap_err().slug(), "not-json");
    }

    #[test]
    fn too_many_records_are_refused_whole() {
        let many = format!("[{}1]", "1,".repeat(RECORDS_MAX));

        assert_eq!(
            rows(many.as_bytes(), NONE, RECORDS_MAX).unwrap_err().slug(),
            "too-many-records"
        );
    }
}
