//! How the AWS clients are configured: from the variables that Lambda sets, and nothing else.

use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::config::SharedCredentialsProvider;

/// One attempt of a call; three are made, with backoff and jitter.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// Region and credentials of `AWS_*`; a whole call with its retries takes `call` at most. `endpoint` is somebody who is not AWS.
///
/// The SDK's own chain would bring profiles, STS, ECS and EC2 metadata along, a twentieth of each function.
pub(crate) async fn config(call: Duration, endpoint: Option<String>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(call)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint);
    config.build()
}
