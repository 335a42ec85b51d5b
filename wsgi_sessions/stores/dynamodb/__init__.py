"""Amazon DynamoDB."""

from __future__ import annotations

from wsgi_sessions.stores.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBStore"]
