static AUDIT: ptest::Database = ptest::database!(fixtures("users"));
