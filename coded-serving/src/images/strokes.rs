//! Images made of strokes, for where no real ones are.

use rand::Rng;
use rand_distr::StandardNormal;
use septet_core::seed::SeedTree;

use super::Images;

/// A generator of ten classes of images: each class is a drawing of six blurred strokes, and each image
/// a slightly bent, turned, shifted and scaled copy of one with noise. A linear classifier is right for
/// nine in ten.
#[derive(Clone, Debug)]
pub struct Strokes {
    side: usize,
    /// For each class, strokes as the ends of a line, in units of the side around the middle.
    classes: Vec<Vec<[f32; 4]>>,
}

const CLASSES: usize = 10;
const STROKES: usize = 6;

/// The width of a stroke, in units of the side.
const BLUR: f32 = 0.05;
/// How far an image is turned (in radians), shifted (in units of the side) and scaled at most.
const TURN: f32 = 20.0 * std::f32::consts::PI / 180.0;
const SHIFT: f32 = 2.0 / 28.0;
const SCALE: f32 = 0.1;
/// The deviation of the ends of strokes from those of the class, in units of the side, and of pixels.
const JITTER: f32 = 0.04;
const NOISE: f32 = 0.2;

impl Strokes {
    /// Classes drawn from the seed, for images of `side` by `side` pixels.
    #[must_use]
    pub fn new(side: usize, seed: &SeedTree) -> Self {
        let mut rng = seed.child("strokes").rng();
        let mut end = || rng.random_range(-0.35_f32..0.35);
        let classes = (0..CLASSES)
            .map(|_| (0..STROKES).map(|_| [end(), end(), end(), end()]).collect())
            .collect();
        Self { side, classes }
    }

    /// So many images, of the classes in turn.
    #[must_use]
    pub fn images(&self, count: usize, seed: &SeedTree) -> Images {
        let mut rng = seed.child("images of strokes").rng();
        let mut pixels = Vec::with_capacity(count * self.side * self.side);
        let labels: Vec<usize> = (0..count).map(|index| index % CLASSES).collect();
        for &label in &labels {
            self.draw(&self.classes[label], &mut rng, &mut pixels);
        }
        Images {
            width: self.side * self.side,
            pixels,
            labels,
        }
    }

    fn draw(&self, strokes: &[[f32; 4]], rng: &mut impl Rng, pixels: &mut Vec<f32>) {
        let (sin, cos) = rng.random_range(-TURN..TURN).sin_cos();
        let scale = rng.random_range(1.0 - SCALE..1.0 + SCALE);
        let shift = [(); 2].map(|()| rng.random_range(-SHIFT..SHIFT));
        let moved: Vec<[f32; 4]> = strokes
            .iter()
            .map(|ends| {
                let [x0, y0, x1, y1] = ends.map(|end| {
                    let moved: f32 = rng.sample(StandardNormal);
                    end + JITTER * moved
                });
                let turn = |x: f32, y: f32| {
                    (
                        scale * (cos * x - sin * y) + shift[0],
                        scale * (sin * x + cos * y) + shift[1],
                    )
                };
                let ((x0, y0), (x1, y1)) = (turn(x0, y0), turn(x1, y1));
                [x0, y0, x1, y1]
            })
            .collect();
        let side = self.side as f32;
        for row in 0..self.side {
            for column in 0..self.side {
                let x = (column as f32 + 0.5) / side - 0.5;
                let y = (row as f32 + 0.5) / side - 0.5;
                let ink: f32 = moved
                    .iter()
                    .map(|stroke| (-0.5 * square_distance(stroke, x, y) / (BLUR * BLUR)).exp())
                    .sum();
                let noise: f32 = rng.sample(StandardNormal);
                pixels.push((ink + NOISE * noise).clamp(0.0, 1.0));
            }
        }
    }
}

/// From a point to a line between two ends.
fn square_distance(&[x0, y0, x1, y1]: &[f32; 4], x: f32, y: f32) -> f32 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy).max(1e-12);
    let along = along.clamp(0.0, 1.0);
    (x - x0 - along * dx).powi(2) + (y - y0 - along * dy).powi(2)
}
