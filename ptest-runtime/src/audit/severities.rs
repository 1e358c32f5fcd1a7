//! The severities of findings: those of a test, by the argument `audit`, and those of a run, by `PTEST_AUDIT`.

/// A finding whose severity can be chosen. An escape is none of them: it always fails the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `turn`
    Turn,
    /// `sandbox`
    Sandbox,
    /// `deferred_constraint`
    DeferredConstraint,
    /// `open_transaction`
    OpenTransaction,
    /// `leaked_session`
    LeakedSession,
    /// `advisory_lock`
    AdvisoryLock,
    /// `other_connection`
    OtherConnection,
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// `"error"`: it fails a test that has passed.
    Error,
    /// `"warning"`: it is printed.
    Warning,
    /// `"off"`: it is passed over.
    Off,
}

/// The severities that were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Severities([Option<Severity>; KINDS.len()]);

const KINDS: [Kind; 7] = [
    Kind::Turn,
    Kind::Sandbox,
    Kind::DeferredConstraint,
    Kind::OpenTransaction,
    Kind::LeakedSession,
    Kind::AdvisoryLock,
    Kind::OtherConnection,
];

const LEVELS: [(&str, Severity); 3] =
    [("error", Severity::Error), ("warning", Severity::Warning), ("off", Severity::Off)];

/// A list of severities that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misspelled {
    #[error("`{0}` is not of the form `finding=severity`")]
    Form(String),
    #[error("there is no finding `{0}`")]
    Finding(String),
    #[error("an escape always fails the test")]
    Escape,
    #[error("there is no severity `{0}`")]
    Severity(String),
    #[error("`{0}` is given twice")]
    Twice(&'static str),
}

impl Kind {
    /// The name in `audit(…)` and `PTEST_AUDIT`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Turn => "turn",
            Kind::Sandbox => "sandbox",
            Kind::DeferredConstraint => "deferred_constraint",
            Kind::OpenTransaction => "open_transaction",
            Kind::LeakedSession => "leaked_session",
            Kind::AdvisoryLock => "advisory_lock",
            Kind::OtherConnection => "other_connection",
        }
    }

    /// What becomes of it where nobody says otherwise: an error is what makes a test pass that would fail on a
    /// server.
    pub(crate) fn default(self) -> Severity {
        match self {
            Kind::Turn | Kind::Sandbox | Kind::DeferredConstraint => Severity::Error,
            Kind::OpenTransaction | Kind::LeakedSession | Kind::AdvisoryLock | Kind::OtherConnection => {
                Severity::Warning
            }
        }
    }
}

impl Severities {
    /// None chosen.
    pub const fn new() -> Self {
        Severities([None; KINDS.len()])
    }

    /// Chooses one.
    pub const fn set(mut self, kind: Kind, severity: Severity) -> Self {
        self.0[kind as usize] = Some(severity);
        self
    }

    pub(crate) fn of(&self, kind: Kind) -> Option<Severity> {
        self.0[kind as usize]
    }

    /// These, and of what is not chosen here the others.
    pub(crate) fn or(&self, others: &Severities) -> Severities {
        Severities(std::array::from_fn(|i| self.0[i].or(others.0[i])))
    }

    /// Reads `finding=severity,…`.
    pub(crate) fn parse(text: &str) -> Result<Severities, Misspelled> {
        let mut severities = Severities::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, severity) = part.split_once('=').ok_or_else(|| Misspelled::Form(part.to_owned()))?;
            let (name, severity) = (name.trim(), severity.trim());
            let kind = KINDS.into_iter().find(|kind| kind.name() == name).ok_or_else(|| match name {
                "escape" => Misspelled::Escape,
                _ => Misspelled::Finding(name.to_owned()),
            })?;
            let known = LEVELS.into_iter().find(|(known, _)| *known == severity);
            let (_, severity) = known.ok_or_else(|| Misspelled::Severity(severity.to_owned()))?;
            if severities.of(kind).is_some() {
                return Err(Misspelled::Twice(kind.name()));
            }
            severities = severities.set(kind, severity);
        }
        Ok(severities)
    }

    /// What a list of severities looks like, for somebody who has written another.
    pub(crate) fn form() -> String {
        let names: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.name())).collect();
        let (last, names) =
            names.split_last().map_or((String::new(), String::new()), |(l, n)| (l.clone(), n.join(", ")));
        format!(
            "a list such as `open_transaction=error,leaked_session=off`, of {names} and {last}, each `error`, `warning` or `off`"
        )
    }
}

impl Default for Severities {
    fn default() -> Self {
        Severities::new()
    }
}
