"""The storage layer: spool, shipper, the database behind the ClickHouse HTTP interface, schema."""
