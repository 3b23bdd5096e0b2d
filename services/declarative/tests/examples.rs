//! The examples meet what every plugin must, on answers as their vendors document them.

mod step_functions {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/step-functions.recorded.json")
    );
}

mod glue {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/glue.recorded.json")
    );
}

mod openai_batch {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/openai-batch.recorded.json")
    );
}

mod nomad_batch {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/nomad-batch.recorded.json")
    );
}

mod ecs {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/ecs.recorded.json")
    );
}

mod emr_steps {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/emr-steps.recorded.json")
    );
}

mod kubernetes_jobs {
    plugin_core::conformance_tests!(
        declarative::Declarative,
        include_str!("../examples/kubernetes-jobs.recorded.json")
    );
}

mod aws_lambda {
    plugin_core::sync_conformance_tests!(
        tasks of declarative::Declarative,
        include_str!("../examples/aws-lambda.recorded.json")
    );
}
