static AUDIT: ptest::Database = ptest::database!(migrations = "audit", url = 5);
