// The matrix's cases through pgjdbc: one line per case, `name<TAB>what came back`.
//
// Usage: java -cp postgresql.jar Matrix.java. Where to connect is in PGHOST, PGPORT, PGUSER, PGDATABASE; FEATGRES_ROWS is the size of the
// large fetch. Statements run often enough to be prepared by the server and to come back in binary.
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

public class Matrix {
    interface Case {
        Object run() throws Exception;
    }

    static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : value;
    }

    static String shown(Object value) throws SQLException {
        if (value instanceof byte[] bytes) {
            return "bytes " + HexFormat.of().formatHex(bytes);
        }
        if (value instanceof java.sql.Array array) {
            return "array " + array.getBaseTypeName() + " " + Arrays.toString((Object[]) array.getArray());
        }
        return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
    }

    static void show(String name, Case work) {
        if (!environment("FEATGRES_CASES", name).equals(name)) {
            return;
        }
        String outcome;
        try {
            outcome = String.valueOf(work.run());
        } catch (SQLException error) {
            outcome = "error " + error.getSQLState();
            System.err.println(name + ": " + error.getMessage());
        } catch (Exception error) {
            outcome = "error " + error;
        }
        System.out.println(name + "\t" + outcome.replace("\n", "\\n"));
    }

    static Connection connect(String more) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url + "?user=" + System.getenv("PGUSER") + more);
    }

    /** What a session says of its encryption. */
    static String encrypted(String password, String more) throws SQLException {
        String url = "jdbc:postgresql://localhost:" + System.getenv("FEATGRES_TLS_PORT") + "/" + System.getenv("PGDATABASE");
        url += "?user=" + System.getenv("FEATGRES_TLS_USER") + "&password=" + password.replace(" ", "%20") + more;
        try (Connection connection = DriverManager.getConnection(url);
                ResultSet rows = connection.createStatement().executeQuery("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) {
            return all(rows);
        }
    }

    static void encryptedCases() {
        if (environment("FEATGRES_TLS_PORT", "").isEmpty()) {
            return;
        }
        String password = System.getenv("FEATGRES_TLS_PASSWORD");
        String verified = "&sslmode=verify-full&sslrootcert=" + System.getenv("FEATGRES_TLS_CA");
        show("TLS", () -> encrypted(password, "&sslmode=require"));
        show("TLS, verified", () -> encrypted(password, verified));
        show("TLS, another authority", () -> encrypted(password, "&sslmode=verify-full&sslrootcert=" + System.getenv("FEATGRES_TLS_OTHER_CA")));
        show("TLS, bound to the channel", () -> encrypted(password, verified + "&channelBinding=require"));
        show("TLS, a wrong password", () -> encrypted("looking glass", verified));
    }

    static String reader(String rows) {
        return "SELECT g::int8 AS id, g * 0.5::float8 AS half, 'row ' || g::text AS name FROM generate_series(1::int8, " + rows + "::int8) AS t(g)";
    }

    static String all(ResultSet rows) throws SQLException {
        StringJoiner found = new StringJoiner("; ");
        int columns = rows.getMetaData().getColumnCount();
        while (rows.next()) {
            StringJoiner row = new StringJoiner(", ");
            for (int column = 1; column <= columns; column++) {
                row.add(shown(rows.getObject(column)));
            }
            found.add(row.toString());
        }
        return found.toString();
    }

    static String query(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int index = 0; index < parameters.length; index++) {
                statement.setObject(index + 1, parameters[index]);
            }
            String first = all(statement.executeQuery());
            // The fifth execution is of a named statement, and in binary.
            for (int again = 0; again < 6; again++) {
                String next = all(statement.executeQuery());
                if (!next.equals(first)) {
                    return first + " but then " + next;
                }
            }
            return first;
        }
    }

    static String failing(Connection connection, String sql) throws SQLException {
        String code = "no error";
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException error) {
            code = error.getSQLState();
        }
        return code + ", then " + query(connection, "SELECT 1::int8");
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect("")) {
            System.out.println("version\t" + connection.getMetaData().getDriverVersion());
            cases(connection);
        }
    }

    static void cases(Connection connection) {
        Object[][] values = {
            {"bool", "true", true}, {"int2", "'-32768'", (short) -32768}, {"int4", "2147483647", 2147483647},
            {"int8", "'-9223372036854775808'", Long.MIN_VALUE}, {"float4", "1.5", 1.5f}, {"float8", "'0.1'", 0.1},
            {"numeric(12,3)", "'123456.789'", new BigDecimal("123456.789")}, {"text", "'zwölf 😀'", "zwölf 😀"},
            {"bytea", "'\\x00ff41'", new byte[] {0, -1, 65}}, {"date", "'2024-02-29'", java.sql.Date.valueOf("2024-02-29")},
            {"time", "'12:30:00'", java.sql.Time.valueOf("12:30:00")},
            {"timestamp", "'2024-02-29 12:30:00.123456'", Timestamp.valueOf("2024-02-29 12:30:00.123456")},
            {"timestamptz", "'2024-02-29 12:30:00+00'", java.time.OffsetDateTime.parse("2024-02-29T12:30:00Z")},
            {"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")},
        };
        show("connect", () -> query(connection, "SELECT 1::int8"));
        for (Object[] value : values) {
            show(value[0] + " out", () -> query(connection, "SELECT " + value[1] + "::" + value[0]));
            show(value[0] + " as a parameter", () -> query(connection, "SELECT ?::" + value[0], value[2]));
        }
        show("interval out", () -> query(connection, "SELECT '3 days 04:05:06'::interval"));
        show("int4[] out", () -> query(connection, "SELECT '{1,2,NULL}'::int4[]"));
        show("text[] as a parameter", () -> query(connection, "SELECT ?::text[]", connection.createArrayOf("text", new String[] {"a", "b c"})));
        show("NULL as a parameter", () -> query(connection, "SELECT ?::int8, ?::text", null, null));
        show("a parameter in LIMIT", () -> query(connection, "SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT ?", 2));
        show("columns of a result", () -> {
            try (Statement statement = connection.createStatement()) {
                ResultSetMetaData columns = statement.executeQuery("SELECT 1::int4 AS a, 'x'::text AS b, 1.5::numeric(10,2) AS c").getMetaData();
                StringJoiner found = new StringJoiner(", ");
                for (int column = 1; column <= 3; column++) {
                    found.add(columns.getColumnLabel(column) + " " + columns.getColumnTypeName(column) + " " + columns.getPrecision(column) + " " + columns.getScale(column));
                }
                return found;
            }
        });
        show("several statements", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("SELECT 1::int8; SELECT 2::int8");
                String first = all(statement.getResultSet());
                return first + " and " + statement.getMoreResults() + " " + all(statement.getResultSet());
            }
        });
        show("a batch", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TEMP TABLE batched (a int8, b text)");
            }
            try (PreparedStatement statement = connection.prepareStatement("INSERT INTO batched VALUES (?, ?)")) {
                for (int row = 0; row < 20; row++) {
                    statement.setLong(1, row);
                    statement.setString(2, "row " + row);
                    statement.addBatch();
                }
                return Arrays.stream(statement.executeBatch()).sum() + " " + query(connection, "SELECT count(*), max(b) FROM batched");
            }
        });
        show("commit and rollback", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TEMP TABLE tx (a int8)");
                statement.execute("INSERT INTO tx VALUES (1)");
                connection.commit();
                statement.execute("INSERT INTO tx VALUES (2)");
                connection.rollback();
            } finally {
                connection.setAutoCommit(true);
            }
            return query(connection, "SELECT a FROM tx");
        });
        show("the failed state", () -> {
            connection.setAutoCommit(false);
            StringJoiner codes = new StringJoiner(" ");
            for (String sql : List.of("SELECT 1 / 0", "SELECT 1")) {
                try (Statement statement = connection.createStatement()) {
                    statement.execute(sql);
                } catch (SQLException error) {
                    codes.add(error.getSQLState());
                }
            }
            connection.rollback();
            connection.setAutoCommit(true);
            return codes;
        });
        show("savepoints", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("INSERT INTO tx VALUES (3)");
                Savepoint savepoint = connection.setSavepoint();
                try {
                    statement.execute("SELECT 1 / 0");
                } catch (SQLException expected) {
                    connection.rollback(savepoint);
                }
                connection.commit();
            } finally {
                connection.setAutoCommit(true);
            }
            return query(connection, "SELECT a FROM tx ORDER BY a");
        });
        show("autosave", () -> {
            try (Connection other = connect("&autosave=always")) {
                other.setAutoCommit(false);
                try (Statement statement = other.createStatement()) {
                    statement.execute("CREATE TEMP TABLE saved (a int8)");
                    try {
                        statement.execute("SELECT 1 / 0");
                    } catch (SQLException expected) {
                        statement.execute("INSERT INTO saved VALUES (1)");
                    }
                    other.commit();
                }
                return query(other, "SELECT a FROM saved");
            }
        });
        show("syntax error", () -> failing(connection, "SELEC 1"));
        show("no such table", () -> failing(connection, "SELECT * FROM nothing_like_it"));
        show("division by zero", () -> failing(connection, "SELECT 1 / 0"));
        show("a bad value", () -> failing(connection, "SELECT 'x'::int4"));
        show("a warning", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("DROP TABLE IF EXISTS nothing_like_it");
                return statement.getWarnings().getSQLState() + " " + statement.getWarnings().getMessage();
            }
        });
        show("cancel", () -> {
            try (Statement statement = connection.createStatement()) {
                Thread other = new Thread(() -> {
                    try {
                        Thread.sleep(200);
                        statement.cancel();
                    } catch (Exception ignored) {
                        // The statement then runs to its end, which the outcome shows.
                    }
                });
                other.start();
                String code = "no error";
                try {
                    statement.execute("SELECT pg_sleep(60)");
                } catch (SQLException error) {
                    code = error.getSQLState();
                }
                other.join();
                return code + ", then " + query(connection, "SELECT 1::int8");
            }
        });
        show("setQueryTimeout", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.execute("SELECT pg_sleep(60)");
                return "no error";
            } catch (SQLException error) {
                return error.getSQLState();
            }
        });
        show("a large fetch", () -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(reader(environment("FEATGRES_ROWS", "20000")))) {
                long count = 0;
                String last = "";
                while (rows.next()) {
                    count++;
                    last = rows.getLong(1) + " " + rows.getDouble(2) + " " + rows.getString(3);
                }
                return count + ", " + last;
            }
        });
        show("fetched in portions", () -> {
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement(reader("2000"))) {
                statement.setFetchSize(300);
                long count = 0;
                ResultSet rows = statement.executeQuery();
                while (rows.next()) {
                    count += rows.getLong(1);
                }
                connection.commit();
                return count;
            } finally {
                connection.setAutoCommit(true);
            }
        });
        show("COPY in", () -> {
            org.postgresql.copy.CopyManager copies = connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE TEMP TABLE copied (a int8, b text)");
            }
            long rows = copies.copyIn("COPY copied FROM STDIN WITH (FORMAT csv)", new java.io.StringReader("1,one\n2,\n"));
            return rows + " " + query(connection, "SELECT a, b FROM copied ORDER BY a");
        });
        show("COPY in, malformed", () -> {
            org.postgresql.copy.CopyManager copies = connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
            String code = "no error";
            try {
                copies.copyIn("COPY copied FROM STDIN", new java.io.StringReader("x\tone\n"));
            } catch (SQLException error) {
                code = error.getSQLState();
            }
            return code + ", then " + query(connection, "SELECT 1::int8");
        });
        show("COPY out", () -> {
            java.io.StringWriter text = new java.io.StringWriter();
            connection.unwrap(org.postgresql.PGConnection.class).getCopyAPI().copyOut("COPY (SELECT g FROM generate_series(1::int8, 3::int8) AS t(g)) TO STDOUT", text);
            return text.toString();
        });
        show("isValid", () -> connection.isValid(5));
        show("simple mode", () -> {
            try (Connection other = connect("&preferQueryMode=simple")) {
                return query(other, "SELECT ?::int4 + 1, ?::text", 41, "it's");
            }
        });
        encryptedCases();
        show("read only", () -> {
            connection.setReadOnly(true);
            connection.setReadOnly(false);
            return query(connection, "SELECT 1::int8");
        });
        show("isolation level", () -> {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            return connection.getTransactionIsolation();
        });
    }
}
