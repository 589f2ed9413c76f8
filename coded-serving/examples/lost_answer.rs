//! Trains a base model and its encoder on generated images, loses each answer of a few groups, and
//! compares what is recovered with what was lost. Takes some seconds.
//!
//! `cargo run --release -p septet-coded-serving --features train --example lost_answer`

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::{Code, Inference, InvNet, Slots};
use septet_coded_serving::images::Strokes;
use septet_coded_serving::network::checkerboard;
use septet_coded_serving::train::{
    CouplingNetwork, CouplingSize, EncoderLoss, EncoderNetwork, EncoderSize, Fit,
};
use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;

const SIDE: usize = 16;
const GROUP: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let _ = one_math_thread();
    let seed = SeedTree::new(7);
    let strokes = Strokes::new(SIDE, &seed);
    let train = strokes.images(8000, &seed.child("train"));
    let test = strokes.images(400, &seed.child("test"));

    // An invertible network whose layers stretch nothing too much, so that an encoder can be learned.
    let network = CouplingNetwork::new(
        CouplingSize {
            order: checkerboard(SIDE, SIDE),
            blocks: 4,
            hidden: 96,
            classes: 10,
            spectral_bound: Some(1.0),
        },
        &seed,
    )?;
    network.fit(&train, &Fit::new(400, 200, 2e-3), &seed)?;
    let base = network.classifier()?;

    // The encoder is trained for answers that decode well.
    let encoder = EncoderNetwork::new(
        EncoderSize {
            width: SIDE * SIDE,
            features: 128,
            hidden: 256,
        },
        &seed,
    )?;
    let fit = Fit::new(400, 128, 2e-3);
    encoder.fit(&base, &train, GROUP, EncoderLoss::Task, &fit, &seed)?;
    let code = InvNet::new(GROUP, 1, encoder.encoder()?)?;

    let (mut same, mut lost) = (0, 0);
    for group in test.groups(GROUP, &seed) {
        let query = |&index: &usize| Tensor::vector(test.image(index).to_vec());
        let queries: Vec<Tensor> = group.iter().map(query).collect();
        let parity = base.answer(&code.encode(&queries)?[0].input)?;
        let answers = queries.iter().map(|query| base.answer(query));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        for missing in 0..GROUP {
            let arrived = answers
                .iter()
                .enumerate()
                .filter(|(slot, _)| *slot != missing);
            let arrived: Vec<_> = arrived.chain([(GROUP, &parity)]).collect();
            let decoded = code.decode(GROUP, &arrived, Slots::EMPTY.with(missing))?;
            lost += 1;
            same += usize::from(decoded[0].output.argmax() == answers[missing].argmax());
        }
    }
    let cost = code.cost(Inference {
        operations: base.operations(),
        values: SIDE * SIDE,
    });
    println!("{same} of {lost} lost answers came back with their class");
    println!(
        "the redundancy of a group costs {:.1} inferences",
        cost.operations
    );
    Ok(())
}
