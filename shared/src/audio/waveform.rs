//! A picture of the audio in a fixed number of spans, drawn without knowing beforehand how long it is.

use super::extremes::{NOTHING, Pair, extremes_of, extremes_of_sum, widest};

/// Pairs in the finished picture.
pub(super) const SPANS: usize = 400;

/// Columns kept while drawing; between ten and twenty to a span once the audio is long enough to have merged some.
const MAX_COLUMNS: usize = SPANS * 20;

/// Collects equal columns of time. When they run out, neighbours are merged and a column lasts twice as long.
pub(super) struct Waveform {
    columns: Vec<Pair>,
    /// Room for the sum of more than two channels.
    sum: Vec<f32>,
    /// Frames in a column.
    column_len: usize,
    open: Pair,
    open_len: usize,
}

impl Waveform {
    pub(super) fn new() -> Self {
        Self {
            columns: Vec::with_capacity(MAX_COLUMNS),
            sum: Vec::new(),
            column_len: 1,
            open: NOTHING,
            open_len: 0,
        }
    }

    /// Takes planes of one length, one a channel.
    pub(super) fn add(&mut self, planes: &[Vec<f32>]) {
        match planes {
            [] => {}
            [only] => self.draw(only.len(), 1.0, |at, end| extremes_of(&only[at..end])),
            [left, right] => self.draw(left.len(), 0.5, |at, end| {
                extremes_of_sum(&left[at..end], &right[at..end])
            }),
            [first, others @ ..] => {
                let mut sum = std::mem::take(&mut self.sum);
                sum.clone_from(first);
                for plane in others {
                    sum.iter_mut()
                        .zip(plane)
                        .for_each(|(sum, sample)| *sum += sample);
                }
                let scale = 1.0 / planes.len() as f32;
                self.draw(sum.len(), scale, |at, end| extremes_of(&sum[at..end]));
                self.sum = sum;
            }
        }
    }

    /// Carries frames into columns; `extremes` knows those of the channels' sum, `scale` makes it their mean.
    fn draw(&mut self, frames: usize, scale: f32, extremes: impl Fn(usize, usize) -> Pair) {
        let mut at = 0;
        while at < frames {
            let end = frames.min(at + self.column_len - self.open_len);
            let [low, high] = extremes(at, end);
            self.open = widest(self.open, [low * scale, high * scale]);
            self.open_len += end - at;
            if self.open_len == self.column_len {
                self.close_column();
            }
            at = end;
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

fn round(sample: f32) -> f32 {
    // Adding zero turns −0 into 0.
    (sample.clamp(-1.0, 1.0) * 1000.0).round() / 1000.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_frames_are_stretched_over_every_span() {
        let mut waveform = Waveform::new();
        waveform.add(&[vec![0.5, -1.0], vec![0.5, 0.0]]);
        let pairs = waveform.finish();
        assert_eq!(pairs.len(), SPANS);
        assert!(pairs[..200].iter().all(|pair| *pair == [0.5, 0.5]));
        assert!(pairs[200..].iter().all(|pair| *pair == [-0.5, -0.5]));
    }

    #[test]
    fn every_number_of_channels_is_drawn_by_their_mean() {
        for channels in 1..=8 {
            let mut waveform = Waveform::new();
            let mut planes = vec![vec![0.0; 4_001]; channels];
            planes[channels - 1][2_000] = 0.8;
            waveform.add(&planes);
            let highest = waveform
                .finish()
                .iter()
                .fold(0.0, |high, [_, at]| f32::max(high, *at));
            let mean = 0.8 / channels as f32;
            assert!((highest - mean).abs() < 0.001, "{channels}: {highest}");
        }
    }

    #[test]
    fn a_single_peak_is_found_again_at_its_place_after_many_merges() {
        let mut waveform = Waveform::new();
        let mut samples = vec![0.0; 1_000_000];
        samples[750_500] = 0.1234;
        for packet in samples.chunks(1_152) {
            waveform.add(&[packet.to_vec()]);
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
