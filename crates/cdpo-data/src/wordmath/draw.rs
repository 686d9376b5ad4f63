//! Counter-based draws: the names of a stream go in, its values come out in order.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of draws that is a pure function of its names.
pub(super) struct Draw {
    key: u64,
    count: u64,
}

impl Draw {
    pub(super) fn new(names: &[u64]) -> Self {
        let key = names.iter().fold(GOLDEN, |key, &name| {
            mix(key
                .wrapping_mul(3)
                .wrapping_add(mix(name.wrapping_add(GOLDEN))))
        });
        Self { key, count: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.count += 1;
        mix(self.key.wrapping_add(self.count.wrapping_mul(GOLDEN)))
    }

    /// Uniform in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        let width = u128::from(high - low + 1);
        low + ((u128::from(self.bits()) * width) >> 64) as u32
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        ((self.bits() >> 11) as f64) < p * (1u64 << 53) as f64
    }

    /// One of a table's entries, each as likely as the others.
    pub(super) fn pick<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        &table[self.between(0, table.len() as u32 - 1) as usize]
    }

    /// One of a list of words or texts.
    pub(super) fn word(&mut self, table: &[&'static str]) -> &'static str {
        let &word = self.pick(table);
        word
    }
}
