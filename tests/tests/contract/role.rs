//! The role of `local/deploy-role.yaml` can make what the template has, and takes no wildcard for it.

use serde_json::Value;

use crate::template::Template;
use tests::yaml;

/// Type of a resource, and the actions that make one, with what SAM makes of its own types.
const MAKES: [(&str, &[&str]); 38] = [
    ("AWS::ApiGatewayV2::ApiMapping", &["apigateway:POST"]),
    ("AWS::ApiGatewayV2::DomainName", &["apigateway:POST"]),
    ("AWS::Budgets::Budget", &["budgets:ModifyBudget"]),
    (
        "AWS::CloudFront::Distribution",
        &["cloudfront:CreateDistribution", "wafv2:GetWebACL"],
    ),
    (
        "AWS::CloudFront::Function",
        &["cloudfront:CreateFunction", "cloudfront:PublishFunction"],
    ),
    ("AWS::CloudWatch::Alarm", &["cloudwatch:PutMetricAlarm"]),
    ("AWS::CloudWatch::Dashboard", &["cloudwatch:PutDashboard"]),
    ("AWS::EC2::EIP", &["ec2:AllocateAddress"]),
    ("AWS::EC2::InternetGateway", &["ec2:CreateInternetGateway"]),
    ("AWS::EC2::NatGateway", &["ec2:CreateNatGateway"]),
    ("AWS::EC2::Route", &["ec2:CreateRoute"]),
    ("AWS::EC2::RouteTable", &["ec2:CreateRouteTable"]),
    ("AWS::EC2::SecurityGroup", &["ec2:CreateSecurityGroup"]),
    ("AWS::EC2::Subnet", &["ec2:CreateSubnet"]),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        &["ec2:AssociateRouteTable"],
    ),
    ("AWS::EC2::VPC", &["ec2:CreateVpc"]),
    ("AWS::EC2::VPCEndpoint", &["ec2:CreateVpcEndpoint"]),
    (
        "AWS::EC2::VPCGatewayAttachment",
        &["ec2:AttachInternetGateway"],
    ),
    (
        "AWS::ElastiCache::ParameterGroup",
        &["elasticache:CreateCacheParameterGroup"],
    ),
    (
        "AWS::ElastiCache::ReplicationGroup",
        &["elasticache:CreateReplicationGroup"],
    ),
    (
        "AWS::ElastiCache::SubnetGroup",
        &["elasticache:CreateCacheSubnetGroup"],
    ),
    ("AWS::IAM::Role", &["iam:CreateRole", "iam:PassRole"]),
    ("AWS::Lambda::Function", &["lambda:CreateFunction"]),
    (
        "AWS::Lambda::EventSourceMapping",
        &["lambda:CreateEventSourceMapping"],
    ),
    ("AWS::Lambda::Permission", &["lambda:AddPermission"]),
    ("AWS::Logs::LogGroup", &["logs:CreateLogGroup"]),
    (
        "AWS::Route53::RecordSetGroup",
        &["route53:ChangeResourceRecordSets"],
    ),
    ("AWS::S3::Bucket", &["s3:CreateBucket"]),
    ("AWS::S3::BucketPolicy", &["s3:PutBucketPolicy"]),
    (
        "AWS::SecretsManager::Secret",
        &["secretsmanager:CreateSecret"],
    ),
    ("AWS::SNS::Subscription", &["sns:Subscribe"]),
    ("AWS::SNS::Topic", &["sns:CreateTopic"]),
    ("AWS::SNS::TopicPolicy", &["sns:SetTopicAttributes"]),
    ("AWS::SQS::Queue", &["sqs:CreateQueue"]),
    ("AWS::SQS::QueuePolicy", &["sqs:SetQueueAttributes"]),
    (
        "AWS::Serverless::Function",
        &[
            "lambda:CreateFunction",
            "lambda:PublishVersion",
            "lambda:CreateAlias",
            "lambda:UpdateAlias",
            "lambda:AddPermission",
            "iam:CreateRole",
            "iam:PutRolePolicy",
            "iam:AttachRolePolicy",
            "iam:PassRole",
            "codedeploy:CreateApplication",
            "codedeploy:CreateDeploymentGroup",
            "codedeploy:CreateDeployment",
            "scheduler:CreateSchedule",
        ],
    ),
    (
        "AWS::Serverless::HttpApi",
        &["apigateway:POST", "logs:CreateLogDelivery"],
    ),
    ("AWS::Serverless::WebSocketApi", &["apigateway:POST"]),
];

fn list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or(vec![value], |items| items.iter().collect())
}

/// The statements of every policy of the role.
fn statements(role: &Value) -> Vec<&Value> {
    let resources = role["Resources"].as_object().unwrap().values();
    resources
        .filter_map(|resource| resource["Properties"].get("PolicyDocument"))
        .flat_map(|policy| list(&policy["Statement"]))
        .collect()
}

fn actions(statement: &Value) -> Vec<&str> {
    let actions = list(&statement["Action"]).into_iter();
    actions.map(|action| action.as_str().unwrap()).collect()
}

#[test]
fn the_role_can_make_each_resource_of_the_template() {
    let role = yaml::read("local/deploy-role.yaml");
    let allowed: Vec<_> = statements(&role).into_iter().flat_map(actions).collect();
    for (name, resource) in Template::read().resources() {
        let kind = resource["Type"].as_str().unwrap();
        let made_by = MAKES.iter().find(|(known, _)| *known == kind);
        let (_, needed) = made_by.unwrap_or_else(|| panic!("{name}: what makes a {kind}?"));
        for action in *needed {
            assert!(allowed.contains(action), "{name} needs {action}");
        }
    }
}

#[test]
fn the_role_has_no_wildcard_action_and_changes_roles_of_its_stack_only() {
    let role = yaml::read("local/deploy-role.yaml");
    let statements = statements(&role);
    assert!(statements.len() > 20);
    for statement in statements {
        let actions = actions(statement);
        assert!(!actions.iter().any(|action| action.contains('*')));
        let changes = |action: &&str| action.starts_with("iam:");
        if statement["Effect"] == "Allow"
            && actions.iter().any(changes)
            && actions != ["iam:CreateServiceLinkedRole"]
        {
            let resource = statement["Resource"]["Fn::Sub"].as_str().unwrap();
            assert!(resource.ends_with(":role/${Stack}-*"), "{resource}");
        }
    }
}

/// Its own name may begin like those of the stack's roles.
#[test]
fn the_role_cannot_change_itself() {
    let role = yaml::read("local/deploy-role.yaml");
    let denied: Vec<_> = statements(&role)
        .into_iter()
        .filter(|statement| statement["Effect"] == "Deny")
        .inspect(|statement| {
            let resource = statement["Resource"]["Fn::Sub"].as_str().unwrap();
            assert!(resource.ends_with(":role/${AWS::StackName}-*"));
        })
        .flat_map(actions)
        .collect();
    for action in [
        "iam:PutRolePolicy",
        "iam:AttachRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    ] {
        assert!(denied.contains(&action), "{action}");
    }
}

#[test]
fn the_role_is_for_one_environment_of_one_repository() {
    let role = yaml::read("local/deploy-role.yaml");
    let trust = &role["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"];
    let claims = &list(trust)[0]["Condition"]["StringEquals"];
    let subject = &claims["token.actions.githubusercontent.com:sub"]["Fn::Sub"];
    assert_eq!(subject, "repo:${Repository}:environment:${Environment}");
    let environment = &role["Parameters"]["Environment"]["Default"];
    let workflow = yaml::read(".github/workflows/sandbox.yml");
    assert_eq!(*environment, workflow["jobs"]["sandbox"]["environment"]);
}
