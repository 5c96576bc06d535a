//! One page per code, compiled in: what it means, how it looks when wrong, and when right.

macro_rules! pages {
    ($($code:literal)*) => {
        const PAGES: &[(&str, &str)] =
            &[$(($code, include_str!(concat!("codes/", $code, ".md")))),*];
    };
}

pages! {
    "C001" "C002" "C003" "D001" "D002" "M001" "M002"
    "P001" "P002" "P003" "P004" "P005" "P006" "P007" "P008"
    "P009" "P010" "P011" "P012" "P013" "P014" "P015" "P016"
    "P017" "P018" "P019" "P020" "P021" "P022" "P023" "P024"
    "P025" "P026" "P027" "P028" "P029" "P030" "P032"
    "P033" "P034" "P035" "P036" "P037" "P038" "P039" "P040"
    "P041" "P042" "P043" "P044"
}

/// The page of a code; upper or lower case.
pub(crate) fn explain(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}

/// Every code and its page, in order.
pub(crate) fn all_codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_in_the_source_has_a_page_and_every_page_a_code() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut used = codes_below(&src.join("playbook"));
        used.extend(codes_below(&src.join("config")));
        used.extend(codes_below(&src.join("detect")));
        used.extend(codes_below(&src.join("intake")));
        used.insert("C001".to_owned()); // in config.rs
        let pages: BTreeSet<String> = all_codes().map(|(code, _)| code.to_owned()).collect();

        assert_eq!(used, pages);
    }

    #[test]
    fn every_page_has_its_code_for_a_title_and_8_to_25_lines() {
        for (code, page) in all_codes() {
            let lines = page.lines().count();
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
            assert!((8..=25).contains(&lines), "{code} has {lines} lines");
        }
    }

    #[test]
    fn codes_are_found_in_either_case() {
        assert!(explain("p014").is_some());
        assert!(explain("P999").is_none());
    }

    fn codes_below(folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(codes_below(&path));
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(text.split('"').filter(|w| is_code(w)).map(str::to_owned));
            }
        }
        found
    }

    fn is_code(word: &str) -> bool {
        word.len() == 4
            && word.starts_with(['C', 'D', 'M', 'P'])
            && word[1..].chars().all(|c| c.is_ascii_digit())
    }
}
