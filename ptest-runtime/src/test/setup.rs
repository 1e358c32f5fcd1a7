//! The argument `setup`: a function of the user's whose result is part of the template.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::Cause;
use crate::schema::{Draft, Parts, Step, StepError};
use crate::sys::BoxFuture;
use crate::test::apart::apart;
use crate::test::context::Context;
use crate::test::param::FromContext;

/// The function, as the attribute names it.
pub struct Setup {
    /// The path as the attribute spells it, for error messages.
    pub path: &'static str,
    /// Name and version of the package that the test is in.
    pub package: &'static str,
    /// What the user says of the function's content.
    pub version: &'static str,
    /// The full path of the function.
    pub name: fn() -> &'static str,
    /// Calls it, with a connection to the template.
    pub run: for<'c> fn(&'c mut Context) -> BoxFuture<'c, Result<(), Cause>>,
}

impl Setup {
    /// What the template's fingerprint knows of the function, whose code nobody can see.
    pub(crate) fn parts(&self) -> [&'static [u8]; 4] {
        [b"setup", (self.name)().as_bytes(), self.package.as_bytes(), self.version.as_bytes()]
    }

    pub(crate) fn is_same(&self, other: &Setup) -> bool {
        self.parts() == other.parts()
    }
}

impl Step for &'static Setup {
    fn identity(&self, parts: &mut Parts) {
        self.parts().into_iter().for_each(|part| parts.add(part));
    }

    fn verb(&self) -> &'static str {
        "set up"
    }

    fn once(&self) -> &'static str {
        "once per setup"
    }

    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        let (setup, context) = (*self, Arc::clone(&draft.context));
        Box::pin(async move {
            let run = async move || {
                let mut made = context();
                (setup.run)(made.downcast_mut::<Context>().ok_or("there is no context of a test")?).await
            };
            let done = apart(run).await;
            done.map_err(|source| StepError::Setup { path: setup.path, source })
        })
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// The full path of a function.
pub fn name_of<F>(_: F) -> &'static str {
    std::any::type_name::<F>()
}

/// Calls a setup function with what it asks for.
pub fn call_setup<'c, M, F>(cx: &'c mut Context, function: F) -> BoxFuture<'c, Result<(), Cause>>
where
    F: SetupFn<M> + 'c,
    M: 'c,
{
    Box::pin(function.call(cx))
}

/// A function that can set a template up.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function for `setup`",
    label = "cannot be called with a connection",
    note = "write `async fn name(connection: &mut PgConnection) -> Result<(), E>`, with one parameter, by value or by `&mut`, of a type that a test could have; it returns nothing, or a `Result<(), E>` whose error can be boxed"
)]
pub trait SetupFn<M> {
    /// Makes the parameter, and runs the function with it.
    fn call(self, cx: &mut Context) -> impl Future<Output = Result<(), Cause>>;
}

/// A function that takes its parameter by value.
pub struct ByValue<P>(PhantomData<P>);

/// A function that takes `&mut` of its parameter.
pub struct ByMut<P>(PhantomData<P>);

#[diagnostic::do_not_recommend]
impl<F, P, R> SetupFn<ByValue<P>> for F
where
    F: AsyncFnOnce(P) -> R,
    P: FromContext,
    R: SetupOutcome,
{
    async fn call(self, cx: &mut Context) -> Result<(), Cause> {
        self(P::from_context(cx).await?).await.into_result()
    }
}

#[diagnostic::do_not_recommend]
impl<F, P, R> SetupFn<ByMut<P>> for F
where
    F: AsyncFnOnce(&mut P) -> R,
    P: FromContext,
    R: SetupOutcome,
{
    async fn call(self, cx: &mut Context) -> Result<(), Cause> {
        self(&mut P::from_context(cx).await?).await.into_result()
    }
}

/// What a setup function may return.
pub trait SetupOutcome {
    /// The error, if it is one.
    fn into_result(self) -> Result<(), Cause>;
}

impl SetupOutcome for () {
    fn into_result(self) -> Result<(), Cause> {
        Ok(())
    }
}

impl<E: Into<Cause>> SetupOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), Cause> {
        self.map_err(Into::into)
    }
}
