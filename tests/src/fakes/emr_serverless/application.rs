//! An application of the fake.

use serde_json::{Value, json};

use crate::fakes::aws::Exception;

/// When all of the fake's applications and runs were made, in seconds since 1970.
pub(super) const CREATED_AT: f64 = 1_772_346_615.823;

/// An application.
#[derive(Debug, Clone)]
pub struct Application {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) starts_itself: bool,
    image: Option<String>,
    /// How many more descriptions find it starting or stopping.
    pub(super) transition: u32,
}

impl Application {
    /// An application that is started.
    #[must_use]
    pub fn new(id: &str, name: &str) -> Self {
        let (id, name) = (id.to_owned(), name.to_owned());
        Self {
            id,
            name,
            state: "STARTED".to_owned(),
            starts_itself: true,
            image: None,
            transition: 0,
        }
    }

    /// Puts it into `state`, which the next `transition` descriptions find, too.
    #[must_use]
    pub fn in_state(mut self, state: &str, transition: u32) -> Self {
        state.clone_into(&mut self.state);
        self.transition = transition;
        self
    }

    /// Lets it start only when it is told to.
    #[must_use]
    pub fn without_auto_start(mut self) -> Self {
        self.starts_itself = false;
        self
    }

    /// Gives its workers an image.
    #[must_use]
    pub fn with_image(mut self, image: &str) -> Self {
        self.image = Some(image.to_owned());
        self
    }

    /// Goes on with starting or stopping.
    pub(super) fn advance(&mut self) {
        match (self.transition, self.state.as_str()) {
            (0, "STARTING") => "STARTED".clone_into(&mut self.state),
            (0, "STOPPING") => "STOPPED".clone_into(&mut self.state),
            (0, _) => {}
            _ => self.transition -= 1,
        }
    }

    /// Starts by itself, if it does, for a run.
    pub(super) fn take_run(&mut self) -> Result<(), Exception> {
        if self.starts_itself && ["CREATED", "STOPPED"].contains(&&*self.state) {
            "STARTED".clone_into(&mut self.state);
        }
        if self.state == "STARTED" {
            return Ok(());
        }
        let message = format!("Application {} is in {} state", self.id, self.state);
        Err(Exception::new("ValidationException", message))
    }

    pub(super) fn listed(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "arn": self.arn(), "releaseLabel": "emr-7.1.0", "type": "Spark",
            "state": self.state, "createdAt": CREATED_AT, "updatedAt": CREATED_AT, "architecture": "X86_64",
        })
    }

    pub(super) fn described(&self) -> Value {
        let mut described = json!({
            "applicationId": self.id, "name": self.name, "arn": self.arn(), "releaseLabel": "emr-7.1.0", "type": "Spark",
            "state": self.state, "createdAt": CREATED_AT, "updatedAt": CREATED_AT, "architecture": "X86_64",
            "autoStartConfiguration": {"enabled": self.starts_itself},
            "autoStopConfiguration": {"enabled": true, "idleTimeoutMinutes": 15},
        });
        if let Some(image) = &self.image {
            described["imageConfiguration"] = json!({ "imageUri": image });
        }
        described
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:emr-serverless:eu-central-1:123456789012:/applications/{}", self.id)
    }
}
