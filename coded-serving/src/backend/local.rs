//! Workers in this process, each on a thread of its own.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::code::Model;
use crate::engine::Call;
use crate::tensor::Tensor;

use super::Failure;

/// A model that answers one query at a time.
pub trait LocalModel: Send + 'static {
    /// The output, before any softmax.
    ///
    /// # Errors
    ///
    /// Why the model has no output.
    fn answer(&self, query: &Tensor) -> Result<Tensor, String>;
}

impl<F: Fn(&Tensor) -> Result<Tensor, String> + Send + 'static> LocalModel for F {
    fn answer(&self, query: &Tensor) -> Result<Tensor, String> {
        self(query)
    }
}

impl LocalModel for Box<dyn LocalModel> {
    fn answer(&self, query: &Tensor) -> Result<Tensor, String> {
        (**self).answer(query)
    }
}

struct Task {
    call: Call,
    reply: oneshot::Sender<Result<Tensor, String>>,
}

/// A worker in this process.
pub struct LocalWorker {
    models: Vec<Model>,
    tasks: mpsc::Sender<Task>,
}

impl fmt::Debug for LocalWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalWorker")
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

impl LocalWorker {
    /// Starts a worker that serves these models. Its thread ends when the worker is dropped.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn new<M: LocalModel>(models: impl IntoIterator<Item = (Model, M)>) -> io::Result<Self> {
        let models: HashMap<Model, M> = models.into_iter().collect();
        let names = models.keys().cloned().collect();
        let (tasks, queue) = mpsc::channel::<Task>();
        thread::Builder::new()
            .name("model".to_owned())
            // The channel queues tasks: the thread runs one at a time, and ends when the sender is dropped.
            .spawn(move || {
                for Task { call, reply } in queue {
                    let answer = models
                        .get(&call.model)
                        .ok_or_else(|| format!("the worker has no {:?}", call.model))
                        .and_then(|model| model.answer(&call.input));
                    // The receiver is gone when the task timed out.
                    let _ = reply.send(answer);
                }
            })?;
        Ok(Self {
            models: names,
            tasks,
        })
    }

    pub(super) fn serves(&self, model: &Model) -> bool {
        self.models.contains(model)
    }

    pub(super) async fn infer(&self, call: Call) -> Result<Tensor, Failure> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the thread of the worker has ended".to_owned();
        let is_row = call.input.shape().first() == Some(&1) && call.input.shape().len() > 1;
        let sent = self.tasks.send(Task { call, reply });
        sent.map_err(|_| gone())?;
        let output = answer.await.map_err(|_| gone())??;
        // Models that ignore shapes answer with a vector: make it a row, as the input was.
        if is_row && output.shape().len() == 1 {
            let values = output.values().to_vec();
            return Ok(Tensor::from_parts(vec![1, values.len()], values));
        }
        Ok(output)
    }
}
