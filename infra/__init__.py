"""The cloud home: the CDK application that turns one stage of `cdk.json` into a CloudFormation stack."""

from infra.node import use_bundled_node

# `import aws_cdk` starts a node process at once, so the choice of node has to come before any module of this package.
use_bundled_node()
