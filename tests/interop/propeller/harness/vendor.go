package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Vendor contains the differences between the services.
type Vendor struct {
	// Name is the name of the service's program, and of its fake.
	Name string
	// TaskType is the task type that it runs.
	TaskType string
	// Golden is a request whose task declares outputs.
	Golden string
	// Results is how the URI of its rows begins; empty if its outputs are no tables, or the job writes them itself.
	Results string
	// Broken makes a fake's jobs fail permanently; Flaky with an error that a retry may fix.
	Broken, Flaky string

	// createPath is the suffix of the path that starts a job, or the name of AWS's operation; deletePath, of what stops
	// one unless that is a DELETE, is /cancel unless it is set; jobID is the location of its id in the answer.
	createPath string
	deletePath string
	jobID      []string
	settings   func(t testing.TB, upstream string) (environment, arguments []string)
}

// Athena, AwsBatch, Bigquery, Databricks, EmrServerless, Redshift, Sagemaker and Snowflake are the services of this repository.
var (
	Athena = &Vendor{
		Name: "athena", TaskType: "presto", Golden: "ath_select", Results: "s3://acme-athena/results/",
		Broken: "SYNTAX_ERROR", Flaky: "exhausted",
		createPath: "AmazonAthena.StartQueryExecution", deletePath: "AmazonAthena.StopQueryExecution",
		jobID: []string{"QueryExecutionId"}, settings: athenaSettings,
	}
	AwsBatch = &Vendor{
		Name: "aws-batch", TaskType: "aws-batch", Golden: "aws_minimal",
		Broken: "MISCONFIGURATION", Flaky: "Host",
		createPath: "/submitjob", deletePath: "/terminatejob", jobID: []string{"jobId"}, settings: awsBatchSettings,
	}
	Bigquery = &Vendor{
		Name: "bigquery", TaskType: "bigquery_query_job_task", Golden: "bq_docs_example", Results: "bq://",
		Broken: "invalidQuery", Flaky: "backendError",
		createPath: "/jobs", jobID: []string{"jobReference", "jobId"}, settings: bigquerySettings,
	}
	Databricks = &Vendor{
		Name: "databricks", TaskType: "databricks", Golden: "dbx_new_cluster",
		Broken: "UNAUTHORIZED_ERROR", Flaky: "CLUSTER_ERROR",
		createPath: "/runs/submit", jobID: []string{"run_id"}, settings: databricksSettings,
	}
	EmrServerless = &Vendor{
		Name: "emr-serverless", TaskType: "emr_serverless", Golden: "emr_hive",
		Broken: "ExitCode", Flaky: "maximumCapacity",
		createPath: "/jobruns", jobID: []string{"jobRunId"}, settings: emrServerlessSettings,
	}
	Redshift = &Vendor{
		Name: "redshift", TaskType: "redshift", Golden: "rs_unload", Results: "s3://acme/events/flyte_",
		Broken: "syntax", Flaky: "isolation",
		createPath: "RedshiftData.BatchExecuteStatement", deletePath: "RedshiftData.CancelStatement",
		jobID: []string{"Id"}, settings: redshiftSettings,
	}
	Sagemaker = &Vendor{
		Name: "sagemaker", TaskType: "sagemaker-training-job", Golden: "sm_training",
		Broken: "AlgorithmError", Flaky: "CapacityError",
		createPath: "SageMaker.CreateTrainingJob", deletePath: "SageMaker.StopTrainingJob",
		jobID: []string{"TrainingJobArn"}, settings: sagemakerSettings,
	}
	Snowflake = &Vendor{
		Name: "snowflake", TaskType: "snowflake", Golden: "sf_select_output", Results: "snowflake://",
		Broken: "001003", Flaky: "000603",
		createPath: "/statements", jobID: []string{"statementHandle"}, settings: snowflakeSettings,
	}
	Vendors = []*Vendor{Athena, AwsBatch, Bigquery, Databricks, EmrServerless, Redshift, Sagemaker, Snowflake}
)

// snowflakeKey is the key of a user that does not exist.
func snowflakeKey() string {
	return filepath.Join(Root(), "services", "snowflake", "src", "key", "pem", "pkcs8.pem")
}

func (v *Vendor) fakeArguments(testing.TB) []string {
	if v == Snowflake {
		return []string{"--key=" + snowflakeKey()}
	}
	return nil
}

func athenaSettings(t testing.TB, _ string) (environment, arguments []string) {
	secrets := t.TempDir()
	// The keys of AWS's documentation, which belong to nobody.
	write(t, filepath.Join(secrets, "aws_access_key_id"), "AKIAIOSFODNN7EXAMPLE")
	write(t, filepath.Join(secrets, "aws_secret_access_key"), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	return nil, []string{"--region=eu-central-1", "--secrets-dir=" + secrets}
}

func redshiftSettings(t testing.TB, upstream string) (environment, arguments []string) {
	environment, arguments = athenaSettings(t, upstream)
	return environment, append(arguments, "--workgroups=sales", "--databases=dev")
}

func awsBatchSettings(t testing.TB, upstream string) (environment, arguments []string) {
	environment, arguments = athenaSettings(t, upstream)
	return environment, append(arguments, "--job-queues=etl", "--task-execution-role=arn:aws:iam::111122223333:role/ecs")
}

func emrServerlessSettings(t testing.TB, upstream string) (environment, arguments []string) {
	environment, arguments = athenaSettings(t, upstream)
	return environment, append(arguments, "--execution-roles=arn:aws:iam::111122223333:role/etl-*", "--entrypoint=s3://acme-etl/flyte/entrypoint.py")
}

func sagemakerSettings(t testing.TB, upstream string) (environment, arguments []string) {
	environment, arguments = athenaSettings(t, upstream)
	return environment, append(arguments, "--execution-roles=arn:aws:iam::111122223333:role/ml-*")
}

func bigquerySettings(_ testing.TB, upstream string) (environment, arguments []string) {
	// The fake is also the metadata server.
	return []string{"GCE_METADATA_HOST=" + strings.TrimPrefix(upstream, "http://")}, nil
}

func databricksSettings(t testing.TB, _ string) (environment, arguments []string) {
	secrets := t.TempDir()
	write(t, filepath.Join(secrets, "databricks_token"), "dapi-of-the-service-0123456789")
	return nil, []string{"--instances=acme-prod.cloud.databricks.com", "--secrets-dir=" + secrets}
}

func snowflakeSettings(t testing.TB, _ string) (environment, arguments []string) {
	key, err := os.ReadFile(snowflakeKey())
	require.NoError(t, err)
	secrets := t.TempDir()
	write(t, filepath.Join(secrets, "snowflake_private_key"), string(key))
	return nil, []string{"--accounts=ACMEORG-ANALYTICS", "--secrets-dir=" + secrets}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}
