//! The settings of a session.

/// The server's reports as a client is shown them: what is a fence of ptest's is not the client's business.
pub(super) fn shown(parameters: &[(String, String)]) -> Vec<(String, String)> {
    parameters
        .iter()
        .map(|(name, value)| match name.as_str() {
            "default_transaction_read_only" => (name.clone(), "off".to_owned()),
            _ => (name.clone(), value.clone()),
        })
        .collect()
}
