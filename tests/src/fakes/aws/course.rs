//! The course of a fake's job: scripted states, then an end.

/// How jobs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending<F> {
    /// Successfully.
    Success,
    /// With this failure.
    Failure(F),
    /// Never: they stay in this state.
    Stuck(String),
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a, F> {
    /// In a state of the script.
    State(&'a str),
    /// At a successful end.
    Succeeded,
    /// At an end with this failure.
    Failed(&'a F),
    /// Stopped on request.
    Stopped,
}

/// The course of one job.
#[derive(Debug, Clone)]
pub struct Course<F> {
    states: Vec<String>,
    passed: usize,
    ending: Ending<F>,
    is_stopped: bool,
}

impl<F> Course<F> {
    /// A course through `states`, one for each poll, to `ending`.
    #[must_use]
    pub fn new(states: Vec<String>, ending: Ending<F>) -> Self {
        Self { states, passed: 0, ending, is_stopped: false }
    }

    /// Where the job is.
    #[must_use]
    pub fn at(&self) -> At<'_, F> {
        if self.is_stopped {
            return At::Stopped;
        }
        match (self.states.get(self.passed), &self.ending) {
            (_, Ending::Stuck(state)) | (Some(state), _) => At::State(state),
            (None, Ending::Success) => At::Succeeded,
            (None, Ending::Failure(failure)) => At::Failed(failure),
        }
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !matches!(self.at(), At::State(_))
    }

    /// Goes on to the next state.
    pub fn advance(&mut self) {
        self.passed += 1;
    }

    /// Stops the job unless it has ended; returns whether it did.
    pub fn stop(&mut self) -> bool {
        let is_active = !self.has_ended();
        self.is_stopped |= is_active;
        is_active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(ending: Ending<u8>) -> Course<u8> {
        Course::new(["QUEUED", "RUNNING"].map(str::to_owned).to_vec(), ending)
    }

    #[test]
    fn a_job_goes_through_its_states_to_its_end() {
        for (ending, end) in
            [(Ending::Success, At::Succeeded), (Ending::Failure(3), At::Failed(&3))]
        {
            let mut course = course(ending);
            for state in ["QUEUED", "RUNNING"] {
                assert_eq!(course.at(), At::State(state));
                course.advance();
            }
            assert_eq!(course.at(), end);
            assert!(!course.stop(), "what has ended cannot be stopped");
            assert_eq!(course.at(), end);
        }
    }

    #[test]
    fn a_stuck_job_ends_when_it_is_stopped() {
        let mut course = course(Ending::Stuck("RUNNING".to_owned()));
        (0..9).for_each(|_| course.advance());
        assert_eq!(course.at(), At::State("RUNNING"));
        assert!(course.stop() && !course.stop());
        assert_eq!(course.at(), At::Stopped);
    }
}
