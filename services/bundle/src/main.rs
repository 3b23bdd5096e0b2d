//! Serves the plugins of this repository, all or some of them, in one process.

fn main() -> std::process::ExitCode {
    plugin_core::Bundle::new(plugin_core::service_info!())
        .plugin::<athena::Athena>("athena")
        .plugin::<aws_batch::AwsBatch>("aws-batch")
        .plugin::<bigquery::BigQuery>("bigquery")
        .plugin::<databricks::Databricks>("databricks")
        .plugin::<emr_serverless::EmrServerless>("emr-serverless")
        .plugin::<redshift::Redshift>("redshift")
        .plugin::<sagemaker::SageMaker>("sagemaker")
        .plugin::<snowflake::Snowflake>("snowflake")
        .run()
}
