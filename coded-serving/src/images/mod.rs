//! Labeled grayscale images: a reader for MNIST and related data sets, and a generator.

mod idx;
mod strokes;

use rand::seq::SliceRandom as _;
use septet_core::seed::SeedTree;

pub use idx::{IdxError, from_idx};
pub use strokes::Strokes;

use crate::network::Batch;

/// The number of pixels does not match the number of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {labels} images of {width} pixels, found {pixels} pixels")]
pub struct ImagesError {
    /// Pixels per image.
    pub width: usize,
    /// The number of labels.
    pub labels: usize,
    /// The number of pixels.
    pub pixels: usize,
}

/// Labeled images of the same size. Pixels are from 0 to 1, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    width: usize,
    pixels: Vec<f32>,
    labels: Vec<usize>,
}

impl Images {
    /// Images from their consecutive pixels, `width` per image, and their labels.
    ///
    /// # Errors
    ///
    /// [`ImagesError`] when `width` is zero, or there are not `width` pixels per label.
    pub fn new(width: usize, pixels: Vec<f32>, labels: Vec<usize>) -> Result<Self, ImagesError> {
        // With a width of 0 the number of images would be undefined.
        if width == 0 || width.checked_mul(labels.len()) != Some(pixels.len()) {
            return Err(ImagesError {
                width,
                labels: labels.len(),
                pixels: pixels.len(),
            });
        }
        Ok(Self {
            width,
            pixels,
            labels,
        })
    }

    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of pixels per image.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The pixels of an image; empty if there is no such image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[f32] {
        let start = index * self.width;
        self.pixels.get(start..start + self.width).unwrap_or(&[])
    }

    /// The pixels of these images, concatenated.
    #[must_use]
    pub fn gather(&self, indices: &[usize]) -> Vec<f32> {
        let mut pixels = Vec::with_capacity(indices.len() * self.width);
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        pixels
    }

    /// These images as a batch.
    #[must_use]
    pub fn batch(&self, indices: &[usize]) -> Batch {
        let pixels = self.gather(indices);
        let count = pixels.len().checked_div(self.width).unwrap_or(0);
        Batch::from_vec(self.width, count, pixels)
    }

    /// The first `count` images, or all if there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.len());
        Self {
            width: self.width,
            pixels: self.pixels[..count * self.width].to_vec(),
            labels: self.labels[..count].to_vec(),
        }
    }

    /// The indices of all images in random order, in groups of `size`. An incomplete last group is dropped.
    #[must_use]
    pub fn groups(&self, size: usize, seed: &SeedTree) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut seed.rng());
        order
            .chunks_exact(size.max(1))
            .map(<[usize]>::to_vec)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_pixels_belong_together() {
        let images = Images::new(2, vec![0.0; 6], vec![1, 2, 3]).unwrap();
        assert_eq!((images.len(), images.width()), (3, 2));
        for (width, pixels, labels) in [
            (2, 5, 3),
            (2, 6, 2),
            (3, 0, 1),
            (0, 0, 0),
            (0, 0, 2),
            (usize::MAX, 6, 2),
        ] {
            let refused = Images::new(width, vec![0.0; pixels], vec![0; labels]);
            assert_eq!(
                refused,
                Err(ImagesError {
                    width,
                    labels,
                    pixels
                })
            );
        }
        assert!(Images::new(4, Vec::new(), Vec::new()).unwrap().is_empty());
    }
}
