//! A template under construction, as code of the user's has it: nothing is leased, and nobody looks at it when it ends.

use tokio::runtime::Runtime;

use super::server::Address;
use super::source::{GivenBack, Held, Reach};
use crate::sys::BoxFuture;

/// The database under construction.
#[derive(Debug)]
pub(super) struct Draft(pub(super) Address);

impl Held for Draft {
    fn server(&self) -> &Address {
        &self.0
    }

    fn name(&self) -> &str {
        &self.0.database
    }

    fn address(&self) -> Address {
        self.0.clone()
    }

    fn number(&self) -> BoxFuture<'_, crate::Result<u32>> {
        Box::pin(async { Ok(0) })
    }

    fn is_made(&self) -> bool {
        false
    }

    fn slot(&self) -> Option<u32> {
        None
    }

    fn reach(&self) -> Option<Box<dyn Reach>> {
        None
    }

    fn settle(&mut self, _: Option<&Runtime>) {}

    fn close(self: Box<Self>, _: bool) -> GivenBack {
        GivenBack::default()
    }
}
