// The matrix's cases through pgx and lib/pq: one line per case, `name<TAB>what came back`.
//
// Usage: matrix CLIENT (pgx, pq). Where to connect is in PGHOST, PGPORT, PGUSER, PGDATABASE; FEATGRES_ROWS is the size of the large fetch.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lib/pq"
)

type value struct {
	kind, sql string
	parameter any
}

var values = []value{
	{"bool", "true", true},
	{"int2", "'-32768'", int16(-32768)},
	{"int4", "2147483647", int32(2147483647)},
	{"int8", "'-9223372036854775808'", int64(-9223372036854775808)},
	{"float4", "1.5", float32(1.5)},
	{"float8", "'0.1'", 0.1},
	{"text", "'zwölf 😀'", "zwölf 😀"},
	{"bytea", "'\\x00ff41'", []byte{0, 255, 65}},
	{"timestamp", "'2024-02-29 12:30:00.123456'", time.Date(2024, 2, 29, 12, 30, 0, 123456000, time.UTC)},
	{"timestamptz", "'2024-02-29 12:30:00+00'", time.Date(2024, 2, 29, 12, 30, 0, 0, time.UTC)},
	{"date", "'2024-02-29'", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
}

func reader(rows string) string {
	return "SELECT g::int8 AS id, g * 0.5::float8 AS half, 'row ' || g::text AS name FROM generate_series(1::int8, " + rows + "::int8) AS t(g)"
}

func rowsWanted() string {
	if rows := os.Getenv("FEATGRES_ROWS"); rows != "" {
		return rows
	}
	return "20000"
}

func code(err error) string {
	var pgx *pgconn.PgError
	var lib *pq.Error
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &pgx):
		return pgx.Code
	case errors.As(err, &lib):
		return string(lib.Code)
	}
	return err.Error()
}

func show(name string, outcome any, err error) {
	if only := os.Getenv("FEATGRES_CASES"); only != "" && only != name {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		fmt.Printf("%s\terror %s\n", name, code(err))
		return
	}
	if moment, ok := outcome.(time.Time); ok {
		outcome = moment.UTC().Format(time.RFC3339Nano)
	}
	fmt.Printf("%s\t%s\n", name, strings.ReplaceAll(fmt.Sprintf("%v", outcome), "\n", "\\n"))
}

func version(path string) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			fmt.Printf("version\t%s\n", strings.TrimPrefix(module.Version, "v"))
		}
	}
}

func conninfo() string {
	return fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT"), os.Getenv("PGUSER"), os.Getenv("PGDATABASE"))
}

// Connecting encrypted by `connect(conninfo)`, which gives what the session says of its encryption.
func encryptedCases(connect func(string) (any, error)) {
	port := os.Getenv("FEATGRES_TLS_PORT")
	if port == "" {
		return
	}
	where := func(password, more string) string {
		return fmt.Sprintf("host=localhost port=%s user=%s dbname=%s password='%s' %s", port, os.Getenv("FEATGRES_TLS_USER"), os.Getenv("PGDATABASE"), password, more)
	}
	password, verified := os.Getenv("FEATGRES_TLS_PASSWORD"), "sslmode=verify-full sslrootcert="+os.Getenv("FEATGRES_TLS_CA")
	outcome, err := connect(where(password, "sslmode=require"))
	show("TLS", outcome, err)
	outcome, err = connect(where(password, verified))
	show("TLS, verified", outcome, err)
	outcome, err = connect(where(password, "sslmode=verify-full sslrootcert="+os.Getenv("FEATGRES_TLS_OTHER_CA")))
	show("TLS, another authority", fmt.Sprint(outcome, " ", err != nil), nil)
	outcome, err = connect(where("looking glass", verified))
	show("TLS, a wrong password", outcome, err)
}

const encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

func viaPgx(ctx context.Context) error {
	version("github.com/jackc/pgx/v5")
	config, err := pgx.ParseConfig(conninfo())
	if err != nil {
		return err
	}
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		notices = append(notices, notice.Severity+": "+notice.Message)
	}
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	one := func(sql string, parameters ...any) (any, error) {
		rows, err := connection.Query(ctx, sql, parameters...)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil {
			return nil, err
		}
		if len(found) == 1 && len(found[0]) == 1 {
			return found[0][0], nil
		}
		return found, nil
	}
	failing := func(sql string) any {
		_, err := one(sql)
		next, _ := one("SELECT 1::int8")
		return fmt.Sprint(code(err), ", then ", next)
	}
	outcome, err := one("SELECT 1::int8")
	show("connect", outcome, err)
	for _, each := range values {
		outcome, err := one("SELECT " + each.sql + "::" + each.kind)
		show(each.kind+" out", outcome, err)
		outcome, err = one("SELECT $1::"+each.kind, each.parameter)
		show(each.kind+" as a parameter", outcome, err)
		outcome, err = one("SELECT $1::"+each.kind, pgx.QueryExecModeSimpleProtocol, each.parameter)
		show(each.kind+" in the simple protocol", outcome, err)
	}
	for _, each := range []value{{"numeric(12,3)", "'123456.789'", "123456.789"}, {"interval", "'3 days 04:05:06'", nil}, {"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", nil}, {"int4[]", "'{1,2,3}'", []int32{1, 2, 3}}, {"text[]", "'{a,\"b c\"}'", []string{"a", "b c"}}} {
		outcome, err := one("SELECT " + each.sql + "::" + each.kind)
		show(each.kind+" out", outcome, err)
		if each.parameter != nil {
			outcome, err = one("SELECT $1::"+each.kind, each.parameter)
			show(each.kind+" as a parameter", outcome, err)
		}
	}
	outcome, err = one("SELECT $1::int8, $2::text", nil, nil)
	show("NULL as a parameter", outcome, err)
	outcome, err = one("SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT $1", 2)
	show("a parameter in LIMIT", outcome, err)
	outcome, err = one("SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) WHERE g = ANY($1::int8[]) ORDER BY g", []int64{2, 4})
	show("an array of parameters", outcome, err)
	prepared, err := connection.Prepare(ctx, "plus", "SELECT $1::int8 + 1 AS next")
	show("prepared", fmt.Sprint(prepared.ParamOIDs, len(prepared.Fields)), err)
	outcome, err = one("plus", 41)
	show("executed", outcome, err)
	err = func() error {
		transaction, err := connection.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := transaction.Exec(ctx, "CREATE TEMP TABLE tx (a int8)"); err != nil {
			return err
		}
		if err := transaction.Commit(ctx); err != nil {
			return err
		}
		for number := range 2 {
			transaction, err := connection.Begin(ctx)
			if err != nil {
				return err
			}
			if _, err := transaction.Exec(ctx, "INSERT INTO tx VALUES ($1)", number); err != nil {
				return err
			}
			inner, err := transaction.Begin(ctx)
			if err != nil {
				return err
			}
			_, _ = inner.Exec(ctx, "SELECT 1 / 0")
			if err := inner.Rollback(ctx); err != nil {
				return err
			}
			if number == 0 {
				err = transaction.Commit(ctx)
			} else {
				err = transaction.Rollback(ctx)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}()
	outcome, _ = one("SELECT a FROM tx")
	show("commit, rollback and savepoints", outcome, err)
	transaction, _ := connection.Begin(ctx)
	_, first := transaction.Exec(ctx, "SELECT 1 / 0")
	_, second := transaction.Exec(ctx, "SELECT 1")
	_ = transaction.Rollback(ctx)
	show("the failed state", fmt.Sprint(code(first), " ", code(second)), nil)
	show("syntax error", failing("SELEC 1"), nil)
	show("no such table", failing("SELECT * FROM nothing_like_it"), nil)
	show("division by zero", failing("SELECT 1 / 0"), nil)
	show("a bad value", failing("SELECT 'x'::int4"), nil)
	_, err = connection.Exec(ctx, "DROP TABLE IF EXISTS nothing_like_it")
	show("a notice", notices, err)
	batch := &pgx.Batch{}
	for number := range 4 {
		batch.Queue("SELECT $1::int8", number)
	}
	results := connection.SendBatch(ctx, batch)
	var sum int64
	for range 4 {
		var found int64
		err = results.QueryRow().Scan(&found)
		sum += found
	}
	_ = results.Close()
	show("a batch", sum, err)
	_, err = connection.Exec(ctx, "CREATE TEMP TABLE copied (a int8, b text, c timestamptz)")
	show("a table to copy into", "", err)
	count, err := connection.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"a", "b", "c"}, pgx.CopyFromRows([][]any{{int64(1), "one", time.Unix(0, 0)}, {int64(2), nil, nil}}))
	show("COPY in, in binary", count, err)
	outcome, err = one("SELECT count(*), sum(a)::int8, max(b) FROM copied")
	show("copied", outcome, err)
	var text strings.Builder
	_, err = connection.PgConn().CopyTo(ctx, &text, "COPY (SELECT g FROM generate_series(1::int8, 3::int8) AS t(g)) TO STDOUT")
	show("COPY out", text.String(), err)
	var total, id int64
	var half float64
	var name string
	rows, err := connection.Query(ctx, reader(rowsWanted()))
	for err == nil && rows.Next() {
		err = rows.Scan(&id, &half, &name)
		total++
	}
	show("a large fetch", fmt.Sprint(total, " ", name), err)
	pool, err := pgxpool.New(ctx, conninfo()+" pool_max_conns=2")
	if err == nil {
		_, err = pool.Exec(ctx, "SET application_name = 'left over'")
		pool.Reset()
		_, err = pool.Exec(ctx, "SELECT 1")
		pool.Close()
	}
	show("a pool", "reused", err)
	encryptedCases(func(conninfo string) (any, error) {
		other, err := pgx.Connect(ctx, conninfo)
		if err != nil {
			return nil, err
		}
		defer other.Close(ctx)
		var found bool
		err = other.QueryRow(ctx, encrypted).Scan(&found)
		return found, err
	})
	limited, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	_, err = connection.Exec(limited, "SELECT pg_sleep(60)")
	stop()
	show("cancel by a deadline", fmt.Sprint(err != nil, " ", connection.IsClosed()), nil)
	return nil
}

func viaPq(ctx context.Context) error {
	version("github.com/lib/pq")
	database, err := sql.Open("postgres", conninfo())
	if err != nil {
		return err
	}
	defer database.Close()
	database.SetMaxOpenConns(1)
	one := func(sql string, parameters ...any) (any, error) {
		var found any
		err := database.QueryRowContext(ctx, sql, parameters...).Scan(&found)
		if bytes, ok := found.([]byte); ok {
			found = fmt.Sprintf("%q", bytes)
		}
		return found, err
	}
	failing := func(sql string) any {
		_, err := one(sql)
		next, _ := one("SELECT 1::int8")
		return fmt.Sprint(code(err), ", then ", next)
	}
	outcome, err := one("SELECT 1::int8")
	show("connect", outcome, err)
	for _, each := range values {
		outcome, err := one("SELECT " + each.sql + "::" + each.kind)
		show(each.kind+" out", outcome, err)
		if each.kind == "int2" {
			each.parameter = int64(-32768)
		}
		outcome, err = one("SELECT $1::"+each.kind, each.parameter)
		show(each.kind+" as a parameter", outcome, err)
	}
	outcome, err = one("SELECT $1::int4[]", pq.Array([]int64{1, 2, 3}))
	show("int4[] as a parameter", outcome, err)
	outcome, err = one("SELECT count(*) FROM (SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) LIMIT $1) AS s", 2)
	show("a parameter in LIMIT", outcome, err)
	prepared, err := database.PrepareContext(ctx, "SELECT $1::int8 + 1")
	var sum int64
	for number := range 3 {
		var found int64
		if err == nil {
			err = prepared.QueryRow(number).Scan(&found)
		}
		sum += found
	}
	show("prepared", sum, err)
	err = func() error {
		if _, err := database.Exec("CREATE TEMP TABLE tx (a int8, b text)"); err != nil {
			return err
		}
		transaction, err := database.Begin()
		if err != nil {
			return err
		}
		statement, err := transaction.Prepare(pq.CopyIn("tx", "a", "b"))
		if err != nil {
			return err
		}
		for number := range 100 {
			if _, err := statement.Exec(number, fmt.Sprint("row ", number)); err != nil {
				return err
			}
		}
		if _, err := statement.Exec(); err != nil {
			return err
		}
		if err := statement.Close(); err != nil {
			return err
		}
		return transaction.Commit()
	}()
	outcome, _ = one("SELECT count(*) FROM tx")
	show("COPY in", outcome, err)
	transaction, err := database.Begin()
	show("begin", "", err)
	_, first := transaction.Exec("SELECT 1 / 0")
	_, second := transaction.Exec("SELECT 1")
	_ = transaction.Rollback()
	show("the failed state", fmt.Sprint(code(first), " ", code(second)), nil)
	show("syntax error", failing("SELEC 1"), nil)
	show("no such table", failing("SELECT * FROM nothing_like_it"), nil)
	show("division by zero", failing("SELECT 1 / 0"), nil)
	rows, err := database.Query(reader(rowsWanted()))
	var total, id int64
	var half float64
	var name string
	for err == nil && rows.Next() {
		err = rows.Scan(&id, &half, &name)
		total++
	}
	show("a large fetch", fmt.Sprint(total, " ", name), err)
	limited, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	_, err = database.ExecContext(limited, "SELECT pg_sleep(60)")
	stop()
	next, _ := one("SELECT 1::int8")
	show("cancel by a deadline", fmt.Sprint(code(err), ", then ", next), nil)
	encryptedCases(func(conninfo string) (any, error) {
		other, err := sql.Open("postgres", conninfo)
		if err != nil {
			return nil, err
		}
		defer other.Close()
		var found bool
		err = other.QueryRowContext(ctx, encrypted).Scan(&found)
		return found, err
	})
	return nil
}

func main() {
	run := map[string]func(context.Context) error{"pgx": viaPgx, "pq": viaPq}[os.Args[1]]
	if err := run(context.Background()); err != nil {
		show("connect", nil, err)
	}
}
