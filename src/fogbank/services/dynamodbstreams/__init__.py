"""DynamoDB Streams: the second API of DynamoDB, which reads what tables tell of their changes.

To AWS it is DynamoDB: it signs as DynamoDB and its actions are ``dynamodb:...``. What it reads is
written by writes of items, so its operations are a room of the package ``dynamodb``, and here is its
manifest alone.
"""

from __future__ import annotations

from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.operations import streams
from fogbank.services.dynamodb.state.policies import RESOURCE_POLICIES
from fogbank.services.dynamodb.state.streams import NEWS
from fogbank.services.dynamodbstreams import quotas

SERVICE = Service(
    model="dynamodbstreams",
    prefix="dynamodb",
    operations=(streams,),
    policies=RESOURCE_POLICIES,
    news=NEWS,
    domain=lambda scope: Domain("dynamodb", scope.account, scope.region),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
