//! The lowest and highest of many samples, in lanes that the compiler turns into vector instructions.

/// The lowest and highest sample of a stretch of time.
pub(super) type Pair = [f32; 2];

/// Of no samples.
pub(super) const NOTHING: Pair = [f32::INFINITY, f32::NEG_INFINITY];

const LANES: usize = 8;

/// The wider of both at each end.
pub(super) fn widest(a: Pair, b: Pair) -> Pair {
    [a[0].min(b[0]), a[1].max(b[1])]
}

/// Of finite samples.
pub(super) fn extremes_of(samples: &[f32]) -> Pair {
    let (chunks, rest) = samples.as_chunks::<LANES>();
    let mut lanes = Lanes::new();
    chunks.iter().for_each(|chunk| lanes.add(chunk));
    lanes.finish(rest.iter().copied())
}

/// Of the sums of two planes of one length.
pub(super) fn extremes_of_sum(left: &[f32], right: &[f32]) -> Pair {
    let ((lefts, left), (rights, right)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    let mut lanes = Lanes::new();
    for (left, right) in lefts.iter().zip(rights) {
        let mut sum = *left;
        sum.iter_mut()
            .zip(right)
            .for_each(|(sum, sample)| *sum += sample);
        lanes.add(&sum);
    }
    lanes.finish(left.iter().zip(right).map(|(left, right)| left + right))
}

struct Lanes {
    low: [f32; LANES],
    high: [f32; LANES],
}

impl Lanes {
    fn new() -> Self {
        Self {
            low: [NOTHING[0]; LANES],
            high: [NOTHING[1]; LANES],
        }
    }

    /// A comparison becomes one instruction; `f32::min` and `max`, which mind NaN, do not.
    fn add(&mut self, chunk: &[f32; LANES]) {
        for (at, &sample) in chunk.iter().enumerate() {
            self.low[at] = if sample < self.low[at] {
                sample
            } else {
                self.low[at]
            };
            self.high[at] = if sample > self.high[at] {
                sample
            } else {
                self.high[at]
            };
        }
    }

    fn finish(self, rest: impl Iterator<Item = f32>) -> Pair {
        let lanes = self
            .low
            .into_iter()
            .zip(self.high)
            .map(|(low, high)| [low, high]);
        lanes
            .chain(rest.map(|sample| [sample, sample]))
            .fold(NOTHING, widest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extremes_are_found_wherever_they_stand() {
        for len in [1, 15, 16, 17, 48, 50] {
            for at in 0..len {
                let mut samples = vec![0.25; len];
                samples[at] = -0.75;
                assert_eq!(extremes_of(&samples)[0], -0.75, "{at} of {len}");
                samples[at] = 0.75;
                assert_eq!(extremes_of(&samples)[1], 0.75, "{at} of {len}");
                let flat = vec![-0.5; len];
                assert_eq!(extremes_of_sum(&samples, &flat)[1], 0.25, "{at} of {len}");
                assert_eq!(extremes_of_sum(&flat, &samples)[1], 0.25, "{at} of {len}");
            }
        }
        assert_eq!(extremes_of(&[]), NOTHING);
    }
}
