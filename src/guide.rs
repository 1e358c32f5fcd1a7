#![doc = include_str!("guide/index.md")]

#[doc = include_str!("guide/getting_started.md")]
pub mod getting_started {}
#[doc = include_str!("guide/isolation.md")]
pub mod isolation {}
#[doc = include_str!("guide/application_state.md")]
pub mod application_state {}
#[doc = include_str!("guide/workspace.md")]
pub mod workspace {}
#[doc = include_str!("guide/query_macros.md")]
pub mod query_macros {}
#[doc = include_str!("guide/ci.md")]
pub mod ci {}
#[doc = include_str!("guide/harnesses.md")]
pub mod harnesses {}
#[doc = include_str!("guide/queues.md")]
pub mod queues {}
#[doc = include_str!("guide/sqlite.md")]
pub mod sqlite {}
#[doc = include_str!("guide/any_client.md")]
pub mod any_client {}
#[doc = include_str!("guide/failing_tests.md")]
pub mod failing_tests {}
#[doc = include_str!("guide/migrating.md")]
pub mod migrating {}
#[doc = include_str!("guide/cleaning_up.md")]
pub mod cleaning_up {}
#[doc = include_str!("guide/cost.md")]
pub mod cost {}
