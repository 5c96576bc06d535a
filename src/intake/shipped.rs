//! The mappings that come with Quell.

use std::sync::LazyLock;

use super::mapping::{Mapping, read};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shipped(u8);

macro_rules! shipped {
    ($($name:literal)*) => {
        /// Name, path and text.
        const FILES: &[(&str, &str, &str)] = &[$((
            $name,
            concat!("connectors/mappings/", $name, ".yaml"),
            include_str!(concat!("../../connectors/mappings/", $name, ".yaml")),
        )),*];
    };
}

shipped! {
    "auth0" "aws" "cloudevents" "etcsec" "google-workspace" "hexnode" "keycloak" "ocsf" "office365"
    "onelogin" "pingfederate" "pingone" "shared-signals" "symantec-vip" "windows-security"
}

static READ: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    // Their being readable is tested.
    FILES.iter().filter_map(|(_, path, text)| read(path, text).ok()).collect()
});

/// Name, title and text of each.
pub(crate) fn mappings() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    FILES
        .iter()
        .zip(&*READ)
        .map(|((name, _, text), mapping)| (*name, mapping.title.as_str(), *text))
}

impl Shipped {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(FILES.len()).map(Self)
    }

    pub(super) fn name(self) -> &'static str {
        FILES[usize::from(self.0)].0
    }

    pub(super) fn mapping(self) -> &'static Mapping {
        &READ[usize::from(self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, render};

    #[test]
    fn every_shipped_mapping_reads_clean_under_its_own_name() {
        for (name, path, text) in FILES {
            let mapping =
                read(path, text).unwrap_or_else(|p| panic!("{}", render(&p, Colour::Plain)));

            assert_eq!(mapping.name, *name);
        }
        assert!(FILES.is_sorted_by_key(|(name, ..)| *name));
    }

    #[test]
    fn the_list_names_every_file_of_the_folder() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors/mappings");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let yaml = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));

        assert_eq!(yaml.count(), FILES.len());
    }
}
