//! [`FeatureRef`]: `view:feature` or `view:*`, as written in `features => ARRAY[…]`.
//!
//! References are text, not identifiers: they are compared as they are, without folding. The first colon separates, so
//! a feature's name may hold one and a view's may not be referred to if it does.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use super::RegistryError;

/// One feature, or all of a view's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeatureRef {
    /// The view (or, in a service, the alias).
    pub view: String,
    /// Which of its features.
    pub feature: FeatureChoice,
}

/// Which features of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FeatureChoice {
    /// `view:*`, in declared order.
    All,
    /// `view:feature`.
    Named(String),
}

impl FromStr for FeatureRef {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let malformed = |reason| RegistryError::MalformedFeatureRef { text: text.to_owned(), reason };
        let (view, feature) = text.split_once(':').ok_or_else(|| malformed("it names no view"))?;
        let (view, feature) = (view.trim(), feature.trim());
        if view.is_empty() {
            return Err(malformed("it names no view"));
        }
        let feature = match feature {
            "" => return Err(malformed("it names no feature")),
            "*" => FeatureChoice::All,
            name => FeatureChoice::Named(name.to_owned()),
        };
        Ok(Self { view: view.to_owned(), feature })
    }
}

impl Display for FeatureRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.feature {
            FeatureChoice::All => write!(f, "{}:*", self.view),
            FeatureChoice::Named(name) => write!(f, "{}:{name}", self.view),
        }
    }
}
