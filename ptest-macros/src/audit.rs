//! The argument `audit`: a severity for each finding that is named.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Ident, LitStr, Result, Token};

use crate::similar::similar;

/// The findings whose severity can be chosen, by their names here and in the runtime.
const FINDINGS: [(&str, &str); 7] = [
    ("turn", "Turn"),
    ("sandbox", "Sandbox"),
    ("deferred_constraint", "DeferredConstraint"),
    ("open_transaction", "OpenTransaction"),
    ("leaked_session", "LeakedSession"),
    ("advisory_lock", "AdvisoryLock"),
    ("other_connection", "OtherConnection"),
];

const LEVELS: [(&str, &str); 3] = [("error", "Error"), ("warning", "Warning"), ("off", "Off")];

/// A finding and its severity, as the runtime names them.
pub(crate) struct Choice {
    finding: &'static str,
    severity: &'static str,
}

/// Parses the list in the parentheses.
pub(crate) fn parse(list: ParseStream) -> Result<Vec<Choice>> {
    let mut names: Vec<Ident> = Vec::new();
    let mut choices = Vec::new();
    while !list.is_empty() {
        let name: Ident = list.call(Ident::parse_any)?;
        let finding = finding(&name)?;
        if names.contains(&name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        names.push(name);
        list.parse::<Token![=]>()?;
        choices.push(Choice { finding, severity: severity(&list.parse()?)? });
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(choices)
}

impl Choice {
    /// The call that makes it; `private` is the hidden module of the runtime.
    pub(crate) fn call(&self, private: &TokenStream) -> TokenStream {
        let (finding, severity) = (format_ident!("{}", self.finding), format_ident!("{}", self.severity));
        quote!(.set(#private::Finding::#finding, #private::Severity::#severity))
    }
}

fn finding(name: &Ident) -> Result<&'static str> {
    let text = name.to_string();
    if let Some((_, finding)) = FINDINGS.iter().find(|(known, _)| *known == text) {
        return Ok(finding);
    }
    let names = || FINDINGS.into_iter().map(|(known, _)| known);
    let message = match text.as_str() {
        "escape" => "an escape always fails the test: its severity cannot be chosen".to_owned(),
        _ => format!("unknown finding `{name}`{}", similar(&text, names())),
    };
    let all: Vec<String> = names().map(|known| format!("\n    {known} = \"error\" | \"warning\" | \"off\"")).collect();
    Err(Error::new(name.span(), format!("{message}\nthe findings are{}", all.concat())))
}

fn severity(value: &LitStr) -> Result<&'static str> {
    let text = value.value();
    match LEVELS.iter().find(|(known, _)| *known == text) {
        Some((_, severity)) => Ok(severity),
        None => Err(Error::new(value.span(), "expected `\"error\"`, `\"warning\"` or `\"off\"`")),
    }
}
