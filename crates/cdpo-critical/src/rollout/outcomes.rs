//! The outcomes known so far: `positions` x `n` rollouts, each right, wrong or not drawn yet.

/// A table of rollout outcomes, filled in any order. Positions count from 1, rollouts from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    n: u32,
    cells: Vec<Option<bool>>,
    counts: Vec<(u32, u32)>,
}

impl Outcomes {
    /// An empty table.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn new(positions: usize, n: u32) -> Self {
        assert!(n > 0, "a score needs at least one rollout");
        Self {
            n,
            cells: vec![None; positions * n as usize],
            counts: vec![(0, 0); positions],
        }
    }

    /// Rollouts at each position.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.counts.len()
    }

    /// Notes that a rollout ended right or wrong. Returns false, changing nothing, if the opposite was noted before: a rollout has
    /// one outcome, so the caller's keys or its arithmetic are not deterministic.
    ///
    /// # Panics
    /// If position or rollout lie outside the table.
    #[must_use = "false means that a rollout gave two outcomes"]
    pub fn record(&mut self, position: usize, rollout: u32, right: bool) -> bool {
        let cell = self.place(position, rollout);
        if let Some(before) = self.cells[cell] {
            return before == right;
        }
        self.cells[cell] = Some(right);
        let (successes, failures) = &mut self.counts[position - 1];
        *(if right { successes } else { failures }) += 1;
        true
    }

    /// A rollout's outcome, if it is known.
    ///
    /// # Panics
    /// As [`Outcomes::record`].
    pub fn outcome(&self, position: usize, rollout: u32) -> Option<bool> {
        self.cells[self.place(position, rollout)]
    }

    /// Right rollouts known at a position.
    pub fn successes(&self, position: usize) -> u32 {
        self.counts[position - 1].0
    }

    /// Wrong rollouts known at a position.
    pub fn failures(&self, position: usize) -> u32 {
        self.counts[position - 1].1
    }

    /// Rollouts known at all positions together.
    pub fn known(&self) -> u64 {
        self.counts
            .iter()
            .map(|&(right, wrong)| u64::from(right) + u64::from(wrong))
            .sum()
    }

    /// Rollouts of a position that are not known yet, in order.
    pub fn unknown(&self, position: usize) -> impl Iterator<Item = u32> + '_ {
        (0..self.n).filter(move |&rollout| self.outcome(position, rollout).is_none())
    }

    fn place(&self, position: usize, rollout: u32) -> usize {
        assert!(
            (1..=self.positions()).contains(&position),
            "position {position} of {}",
            self.positions()
        );
        assert!(rollout < self.n, "rollout {rollout} of {}", self.n);
        (position - 1) * self.n as usize + rollout as usize
    }
}
