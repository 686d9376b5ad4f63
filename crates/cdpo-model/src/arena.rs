//! One flat `f32` array with named, shaped views: trainable parameters, their gradients or an optimizer moment.
//!
//! A checkpoint is a few arenas, an all-reduce is one buffer, and an optimizer step is one loop.

use std::collections::HashMap;
use std::sync::Arc;

/// One named tensor inside an [`Arena`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The parameter's name.
    pub name: String,
    /// First element's index in [`Arena::data`].
    pub offset: usize,
    /// Row-major shape.
    pub shape: Vec<usize>,
}

impl Entry {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if the shape holds no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names, shapes and places of an arena's tensors, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
    len: usize,
}

impl Layout {
    /// Lays the named shapes one after the other. A name given twice keeps its first place.
    pub fn new(named: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut layout = Self::default();
        for (name, shape) in named {
            if layout.index.contains_key(&name) {
                continue;
            }
            let entry = Entry {
                name: name.clone(),
                offset: layout.len,
                shape,
            };
            layout.len += entry.len();
            layout.index.insert(name, layout.entries.len());
            layout.entries.push(entry);
        }
        layout
    }

    /// The tensors in order of their offsets.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.get(name).map(|&i| &self.entries[i])
    }

    /// Elements in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// A flat array with a shared [`Layout`].
///
/// ```
/// use std::sync::Arc;
///
/// use cdpo_model::arena::{Arena, Layout};
///
/// let shapes = [("a".to_owned(), vec![2, 3]), ("b".to_owned(), vec![4])];
/// let mut arena = Arena::zeros(Arc::new(Layout::new(shapes)));
/// if let Some(b) = arena.view_mut("b") {
///     b.fill(1.0);
/// }
/// assert_eq!(arena.data, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
/// assert_eq!(arena.layout().entry("b").map(|entry| entry.offset), Some(6));
/// ```
#[derive(Debug, Clone)]
pub struct Arena {
    /// All values, `layout().len()` of them.
    pub data: Vec<f32>,
    layout: Arc<Layout>,
}

impl Arena {
    /// All zeros.
    pub fn zeros(layout: Arc<Layout>) -> Self {
        Self {
            data: vec![0.0; layout.len()],
            layout,
        }
    }

    /// The names and shapes.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The values of one tensor, row-major.
    pub fn view(&self, name: &str) -> Option<&[f32]> {
        let entry = self.layout.entry(name)?;
        Some(&self.data[entry.offset..entry.offset + entry.len()])
    }

    /// The values of one tensor, to write.
    pub fn view_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let entry = self.layout.entry(name)?;
        Some(&mut self.data[entry.offset..entry.offset + entry.len()])
    }

    /// Two different tensors at once, to write. `None` if a name is unknown or both are the same.
    pub(crate) fn view_pair_mut(&mut self, a: &str, b: &str) -> Option<(&mut [f32], &mut [f32])> {
        let (ea, eb) = (self.layout.entry(a)?, self.layout.entry(b)?);
        let (ra, rb) = (
            ea.offset..ea.offset + ea.len(),
            eb.offset..eb.offset + eb.len(),
        );
        let [va, vb] = self.data.get_disjoint_mut([ra, rb]).ok()?;
        Some((va, vb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_lie_one_after_the_other() {
        let layout = Arc::new(Layout::new([
            ("a".into(), vec![2, 3]),
            ("b".into(), vec![4]),
        ]));
        let mut arena = Arena::zeros(layout);
        let (a, b) = arena.view_pair_mut("b", "a").unwrap();
        a.fill(1.0);
        b.fill(2.0);
        assert_eq!(arena.data, [2., 2., 2., 2., 2., 2., 1., 1., 1., 1.]);
        assert!(arena.view_pair_mut("a", "a").is_none());
        assert!(arena.view("c").is_none());
    }
}
