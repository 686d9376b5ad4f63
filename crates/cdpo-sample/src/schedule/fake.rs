//! A model for tests: the logits after a sequence are a hash of all its ids, so that any slip in what a path holds shows in
//! the samples. Its cache counts pages as the real one does and fails when they run out.

use cdpo_model::Key;

use crate::decoder::{Decoder, PathStep};
use crate::error::{Error, Result};

pub(crate) const VOCABULARY: usize = 41;
pub(crate) const EOS: u32 = 0;
const PAGE: usize = 4;

pub(crate) struct Fake {
    references: Vec<u32>,
    total: usize,
    context: usize,
    /// Logit of the end token, by which tests set how long responses are.
    pub(crate) end_logit: f32,
    /// Steps taken, tokens extended, and the most sequences in one step that wanted logits.
    pub(crate) steps: usize,
    pub(crate) tokens: usize,
    pub(crate) widest: usize,
    pub(crate) most_pages: usize,
    /// Poisons the logits of sequences of this length.
    pub(crate) poison: Option<usize>,
}

pub(crate) struct Path {
    ids: Vec<u32>,
    pages: Vec<usize>,
}

impl Fake {
    pub(crate) fn new(total: usize, context: usize) -> Self {
        Self {
            references: vec![0; total],
            total,
            context,
            end_logit: 1.8,
            steps: 0,
            tokens: 0,
            widest: 0,
            most_pages: 0,
            poison: None,
        }
    }

    fn take(&mut self) -> Result<usize> {
        let free = self.references.iter().position(|&count| count == 0);
        let page = free.ok_or_else(|| {
            Error::Model(cdpo_model::Error::Context("the fake cache is full".into()))
        })?;
        self.references[page] = 1;
        self.most_pages = self.most_pages.max(self.total - self.free_pages());
        Ok(page)
    }

    fn logits(&self, ids: &[u32]) -> Vec<f32> {
        let key = ids
            .iter()
            .fold(Key::new(1), |key, &id| key.with(u64::from(id)));
        let mut row: Vec<f32> = (0..VOCABULARY as u64)
            .map(|id| (3.0 * key.with(1000 + id).unit()) as f32)
            .collect();
        row[EOS as usize] = self.end_logit;
        if self.poison == Some(ids.len()) {
            row[3] = f32::NAN;
        }
        row
    }
}

impl Decoder for Fake {
    type Path = Path;

    fn page(&self) -> usize {
        PAGE
    }

    fn total_pages(&self) -> usize {
        self.total
    }

    fn free_pages(&self) -> usize {
        self.references.iter().filter(|&&count| count == 0).count()
    }

    fn max_positions(&self) -> usize {
        self.context
    }

    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn tokens(&self) -> usize {
        VOCABULARY
    }

    /// Some tokens share letters, one is two letters long, one ends with a line feed, two are halves of a character.
    fn piece(&self, id: u32) -> Result<Vec<u8>> {
        Ok(match id {
            1 => b"\n".to_vec(),
            2 => b"Q".to_vec(),
            3 => b"x\n".to_vec(),
            4 => vec![0xc3],
            5 => vec![0xa9],
            6 => Vec::new(),
            id => vec![b'a' + (id % 26) as u8],
        })
    }

    fn root(&mut self) -> Path {
        Path {
            ids: Vec::new(),
            pages: Vec::new(),
        }
    }

    fn length(path: &Path) -> usize {
        path.ids.len()
    }

    fn fork_at(&mut self, path: &Path, length: usize) -> Result<Path> {
        let mut pages = path.pages[..length.div_ceil(PAGE)].to_vec();
        let whole = length / PAGE;
        for &page in &pages[..whole] {
            self.references[page] += 1;
        }
        if whole < pages.len() {
            pages[whole] = self.take()?;
        }
        Ok(Path {
            ids: path.ids[..length].to_vec(),
            pages,
        })
    }

    fn release(&mut self, path: Path) {
        for page in path.pages {
            self.references[page] = self.references[page]
                .checked_sub(1)
                .expect("a page is released once for each holder");
        }
    }

    fn step(
        &mut self,
        steps: &mut [PathStep<'_, Path>],
        rows: &[usize],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        self.steps += 1;
        self.widest = self.widest.max(rows.len());
        for step in steps.iter_mut() {
            assert!(!step.ids.is_empty(), "a step without tokens");
            self.tokens += step.ids.len();
            step.path.ids.extend_from_slice(step.ids);
            assert!(step.path.ids.len() <= self.context, "beyond the context");
            while step.path.pages.len() * PAGE < step.path.ids.len() {
                let page = self.take()?;
                step.path.pages.push(page);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let logits: Vec<f32> = rows
            .iter()
            .flat_map(|&row| self.logits(&steps[row].path.ids))
            .collect();
        read(&logits)
    }

    fn step_each(
        &mut self,
        path: &mut Path,
        ids: &[u32],
        read: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        for id in ids {
            let step = PathStep {
                path: &mut *path,
                ids: std::slice::from_ref(id),
            };
            self.step(&mut [step], &[0], read)?;
        }
        Ok(())
    }
}
