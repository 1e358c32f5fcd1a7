//! A list that grows at one end and shares the rest with its earlier states: what a client may go back to costs nothing
//! to keep.

use std::sync::Arc;

/// The newest element comes first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<T>(Option<Arc<Node<T>>>);

#[derive(Debug, PartialEq, Eq)]
struct Node<T> {
    value: T,
    rest: List<T>,
}

impl<T> List<T> {
    /// The list with one element more.
    pub(super) fn with(&self, value: T) -> Self {
        List(Some(Arc::new(Node { value, rest: self.clone() })))
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.0.as_deref().map(|node| &node.value)
    }

    /// Each element with the list as it was before it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&T, &List<T>)> {
        std::iter::successors(self.0.as_deref(), |node| node.rest.0.as_deref()).map(|node| (&node.value, &node.rest))
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        List(self.0.clone())
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List(None)
    }
}

impl<T> Drop for List<T> {
    /// Without recursion: a client may nest a hundred thousand savepoints.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.rest.0.take();
        }
    }
}
