//! A picture of the audio in a fixed number of spans, drawn without knowing beforehand how long it is.

/// Pairs in the finished picture.
pub(super) const SPANS: usize = 400;

/// Columns kept while drawing; between ten and twenty to a span once the audio is long enough to have merged some.
const MAX_COLUMNS: usize = SPANS * 20;

/// The lowest and highest sample of a stretch of time.
type Pair = [f32; 2];

const NOTHING: Pair = [f32::INFINITY, f32::NEG_INFINITY];

/// Collects equal columns of time. When they run out, neighbours are merged and a column lasts twice as long.
pub(super) struct Waveform {
    channels: usize,
    columns: Vec<Pair>,
    /// Frames in a column.
    column_len: usize,
    open: Pair,
    open_len: usize,
}

impl Waveform {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            channels,
            columns: Vec::with_capacity(MAX_COLUMNS),
            column_len: 1,
            open: NOTHING,
            open_len: 0,
        }
    }

    /// Takes whole interleaved frames.
    pub(super) fn add(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = (self.column_len - self.open_len) * self.channels;
            let (piece, later) = rest.split_at(rest.len().min(room));
            self.open = widest(self.open, extremes(piece, self.channels));
            self.open_len += piece.len() / self.channels;
            if self.open_len == self.column_len {
                self.close_column();
            }
            rest = later;
        }
    }

    /// Exactly `SPANS` pairs over equal spans of time, in −1…1, rounded to 3 decimals. Audio of fewer frames than that
    /// repeats some; no audio gives zeros.
    pub(super) fn finish(mut self) -> Vec<Pair> {
        if self.open_len > 0 {
            self.columns.push(self.open);
        }
        if self.columns.is_empty() {
            return vec![[0.0; 2]; SPANS];
        }
        let count = self.columns.len();
        (0..SPANS)
            .map(|span| {
                let start = span * count / SPANS;
                let end = ((span + 1) * count / SPANS).max(start + 1);
                let [low, high] = self.columns[start..end]
                    .iter()
                    .copied()
                    .fold(NOTHING, widest);
                [round(low), round(high)]
            })
            .collect()
    }

    fn close_column(&mut self) {
        self.columns.push(self.open);
        self.open = NOTHING;
        self.open_len = 0;
        if self.columns.len() == MAX_COLUMNS {
            for at in 0..MAX_COLUMNS / 2 {
                self.columns[at] = widest(self.columns[2 * at], self.columns[2 * at + 1]);
            }
            self.columns.truncate(MAX_COLUMNS / 2);
            self.column_len *= 2;
        }
    }
}

fn widest(a: Pair, b: Pair) -> Pair {
    [a[0].min(b[0]), a[1].max(b[1])]
}

/// The extremes of the channels' mean.
fn extremes(samples: &[f32], channels: usize) -> Pair {
    let [low, high] = match channels {
        // The two usual shapes apart: unrolled, they take a quarter of the time.
        1 => extremes_of(samples.iter().copied()),
        2 => extremes_of(samples.as_chunks::<2>().0.iter().map(|[a, b]| a + b)),
        _ => extremes_of(
            samples
                .chunks_exact(channels)
                .map(|frame| frame.iter().sum()),
        ),
    };
    let mean = 1.0 / channels as f32;
    [low * mean, high * mean]
}

fn extremes_of(values: impl Iterator<Item = f32>) -> Pair {
    let [mut low, mut high] = NOTHING;
    for value in values {
        if value < low {
            low = value;
        }
        if value > high {
            high = value;
        }
    }
    [low, high]
}

fn round(sample: f32) -> f32 {
    // Adding zero turns −0 into 0.
    (sample.clamp(-1.0, 1.0) * 1000.0).round() / 1000.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_frames_are_stretched_over_every_span() {
        let mut waveform = Waveform::new(2);
        waveform.add(&[0.5, 0.5, -1.0, 0.0]);
        let pairs = waveform.finish();
        assert_eq!(pairs.len(), SPANS);
        assert!(pairs[..200].iter().all(|pair| *pair == [0.5, 0.5]));
        assert!(pairs[200..].iter().all(|pair| *pair == [-0.5, -0.5]));
    }

    #[test]
    fn a_single_peak_is_found_again_at_its_place_after_many_merges() {
        let mut waveform = Waveform::new(1);
        let mut samples = vec![0.0; 1_000_000];
        samples[750_500] = 0.1234;
        for packet in samples.chunks(1_152) {
            waveform.add(packet);
        }
        let pairs = waveform.finish();
        let peaks: Vec<_> = (0..SPANS).filter(|&at| pairs[at] == [0.0, 0.123]).collect();
        assert_eq!(peaks, [300]);
        assert_eq!(
            pairs.iter().filter(|pair| **pair == [0.0, 0.0]).count(),
            SPANS - 1
        );
    }
}
