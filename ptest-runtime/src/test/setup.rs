//! The functions of the argument `setup`: what they may take and return.

use std::any::Any;
use std::marker::PhantomData;

use crate::error::Cause;
use crate::sys::BoxFuture;
use crate::test::context::Context;
use crate::test::param::FromContext;

/// The full path of a function.
pub fn name_of<F>(_: F) -> &'static str {
    std::any::type_name::<F>()
}

/// Calls a setup function with what it asks for.
pub fn call_setup<'c, M, F>(cx: &'c mut (dyn Any + 'static), function: F) -> BoxFuture<'c, Result<(), Cause>>
where
    F: SetupFn<M> + 'c,
    M: 'c,
{
    Box::pin(async { function.call(cx.downcast_mut::<Context>().ok_or("there is no context of a test")?).await })
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
