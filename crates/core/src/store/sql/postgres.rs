//! PostgreSQL: a pool whose connections are not pinged, and statements that are sent without waiting for the answers of
//! those before. A read is one awaited trip, a commit two; a statement that a connection has not met yet costs one more.

use std::{borrow::Cow, future::Future, pin::Pin, task::Poll, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use futures::{TryStreamExt, future::poll_fn};
use tokio_postgres::{
    Client, Statement as Prepared,
    types::{Format, IsNull, ToSql, Type},
};

use crate::{
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{Row, Value},
    store::sql::{
        error::{chain, from_postgres},
        options::StoreOptions,
        script::{Outcome, Script},
        statement::Statement,
        tls,
    },
};

/// Prepared statements per connection; past this all are forgotten.
const PREPARED: usize = 1000;

type Trip<'c> = Pin<Box<dyn Future<Output = Result<Outcome, tokio_postgres::Error>> + Send + 'c>>;

/// Why a trip failed.
enum Fault {
    /// The server or the connection says so.
    Told(tokio_postgres::Error),
    /// Nobody says anything: the server or the way to it is gone, and what comes next on this connection would wait too.
    Silence(Duration),
    /// What the engine makes of the answer.
    Decided(Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Told(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Decided(error)
    }
}

/// A pool of connections to one database.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
    patience: Option<Duration>,
    #[cfg(feature = "testkit")]
    without_predicates: bool,
}

impl Postgres {
    /// A pool; no connection is made yet.
    pub(crate) fn new(url: &str, options: &StoreOptions) -> Result<Self> {
        let manager = Manager::from_config(
            tls::config(url, options)?,
            tls::connector(options)?,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(1))
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| Error::internal("the pool of connections cannot be made").with_source(e))?;
        Ok(Self {
            pool,
            patience: tls::patience(url, options),
            #[cfg(feature = "testkit")]
            without_predicates: options.without_predicates,
        })
    }

    async fn connection(&self) -> Result<Object> {
        let connection = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => {
                let error = from_postgres(error);
                Error::unavailable(format!("no connection to PostgreSQL: {error}"))
            }
            PoolError::Timeout(TimeoutType::Wait) => {
                Error::unavailable("all connections to PostgreSQL are busy").with_source(error)
            }
            _ => Error::unavailable(format!("no connection to PostgreSQL: {}", chain(&error))).with_source(error),
        })?;
        if connection.statement_cache.size() > PREPARED {
            connection.statement_cache.clear();
        }
        Ok(connection)
    }

    /// Reads with one statement, in a transaction that sees one organisation; without one only global tables show rows.
    pub(crate) async fn read(&self, organization: Option<OrganizationId>, statement: &Statement) -> Result<Vec<Row>> {
        let connection = self.connection().await?;
        let rows = self.rows(&connection, organization, statement).await;
        done(connection, rows)
    }

    async fn rows(
        &self,
        connection: &Object,
        organization: Option<OrganizationId>,
        statement: &Statement,
    ) -> Result<Vec<Row>, Fault> {
        let prepared = self.prepare(connection, &[statement]).await?;
        let mut trips: Vec<Trip<'_>> = Vec::with_capacity(3);
        if let Some(organization) = organization {
            trips.push(simple(connection, scoped("BEGIN READ ONLY", organization)));
        }
        trips.extend(prepared.iter().map(|prepared| query(connection, prepared, statement)));
        if organization.is_some() {
            trips.push(simple(connection, "ROLLBACK".to_owned()));
        }
        let answer = self.all(trips).await.into_iter().find(|it| !matches!(it, Ok(it) if it.rows.is_empty()));
        answer.transpose().map(|it| it.unwrap_or_default().rows)
    }

    /// Carries out a script whether or not somebody waits for the answer, which is that of its last statement.
    pub(crate) async fn write(&self, organization: Option<OrganizationId>, script: Script) -> Result<Vec<Row>> {
        let this = self.clone();
        let work = tokio::spawn(async move { this.transaction(organization, &[&script]).await });
        let mut rows = work.await.map_err(|e| Error::internal("a commit died").with_source(e))??;
        Ok(rows.pop().unwrap_or_default())
    }

    /// All scripts in one transaction: a durable commit costs a sync, whatever is in it.
    pub(crate) async fn transaction(
        &self,
        organization: Option<OrganizationId>,
        scripts: &[&Script],
    ) -> Result<Vec<Vec<Row>>> {
        let connection = self.connection().await?;
        let result = self.carry_out(&connection, organization, scripts).await;
        if matches!(result, Err(Fault::Told(_) | Fault::Decided(_))) && !connection.is_closed() {
            // Sent with the first poll, ahead of whatever comes next on this connection; nobody needs the answer.
            let mut rollback = Box::pin(connection.batch_execute("ROLLBACK"));
            let _ = futures::poll!(rollback.as_mut());
        }
        done(connection, result)
    }

    /// Carries out single statements, each in its own transaction, in one trip.
    pub(crate) async fn loose(&self, script: &Script) -> Result<Vec<Outcome>> {
        let connection = self.connection().await?;
        let outcomes = self.each(&connection, script).await;
        done(connection, outcomes)
    }

    async fn each(&self, connection: &Object, script: &Script) -> Result<Vec<Outcome>, Fault> {
        let statements: Vec<_> = script.steps.iter().map(|step| &step.statement).collect();
        let prepared = self.prepare(connection, &statements).await?;
        let trips = statements.iter().zip(&prepared).map(|(statement, it)| query(connection, it, statement));
        let outcomes = self.all(trips.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (step, outcome) in script.steps.iter().zip(&outcomes) {
            step.check.verify(outcome.count)?;
        }
        Ok(outcomes)
    }

    async fn carry_out(
        &self,
        connection: &Object,
        organization: Option<OrganizationId>,
        scripts: &[&Script],
    ) -> Result<Vec<Vec<Row>>, Fault> {
        let steps: Vec<_> = scripts.iter().flat_map(|script| &script.steps).collect();
        let statements: Vec<_> = steps.iter().map(|step| &step.statement).collect();
        let prepared = self.prepare(connection, &statements).await?;
        let begin = organization.map_or_else(|| "BEGIN".to_owned(), |organization| scoped("BEGIN", organization));
        let mut trips = Vec::with_capacity(steps.len() + 1);
        trips.push(simple(connection, begin));
        trips.extend(statements.iter().zip(&prepared).map(|(statement, it)| query(connection, it, statement)));
        // Every statement after the first that failed fails too, as the transaction is aborted by then: the first one tells.
        let mut outcomes = self.all(trips).await.into_iter();
        outcomes.next().transpose()?;
        let mut answers = Vec::with_capacity(scripts.len());
        for script in scripts {
            let mut rows = Vec::new();
            for step in &script.steps {
                let outcome = outcomes.next().transpose()?.unwrap_or_default();
                step.check.verify(outcome.count)?;
                rows = outcome.rows;
            }
            answers.push(rows);
        }
        self.answer(connection.batch_execute("COMMIT")).await?;
        Ok(answers)
    }

    /// The prepared forms of statements, those that are new to the connection in one trip.
    async fn prepare(&self, connection: &Object, statements: &[&Statement]) -> Result<Vec<Prepared>, Fault> {
        let mut texts: Vec<_> = statements.iter().map(|it| self.text(it)).collect();
        texts.sort_unstable();
        texts.dedup();
        let preparing = texts.iter().map(|text| connection.prepare_cached(text));
        let ready = self.answer(futures::future::try_join_all(preparing)).await?;
        let find = |statement: &&Statement| {
            let place = texts.binary_search(&self.text(statement)).ok()?;
            ready.get(place).cloned()
        };
        let missing = || Fault::Decided(Error::internal("a statement was not prepared"));
        statements.iter().map(|it| find(it).ok_or_else(missing)).collect()
    }

    /// Sends all trips, in order, before waiting for the first answer: each sends with its first poll. Answers come in the
    /// same order, so only the first one that is missing needs to be polled again.
    async fn all(&self, trips: Vec<Trip<'_>>) -> Vec<Result<Outcome, Fault>> {
        let mut waiting: std::collections::VecDeque<_> = trips.into_iter().map(|trip| (trip, None)).collect();
        poll_fn(|context| {
            for (trip, answer) in &mut waiting {
                if let Poll::Ready(ready) = trip.as_mut().poll(context) {
                    *answer = Some(ready);
                }
            }
            Poll::Ready(())
        })
        .await;
        let mut answers = Vec::with_capacity(waiting.len());
        for (trip, answer) in waiting {
            answers.push(match answer {
                Some(answer) => answer.map_err(Fault::Told),
                None => self.answer(trip).await,
            });
            // Nor do those come that were asked for after it.
            if matches!(answers.last(), Some(Err(Fault::Silence(_)))) {
                break;
            }
        }
        answers
    }

    /// Waits for an answer, but not for ever: a network that swallows everything closes no connection.
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
        let Some(patience) = self.patience else { return Ok(answer.await?) };
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::Silence(patience)),
        }
    }

    /// A statement as it is sent.
    fn text<'s>(&self, statement: &'s Statement) -> Cow<'s, str> {
        #[cfg(feature = "testkit")]
        if self.without_predicates {
            return Cow::Owned(crate::store::sql::second_wall::alone(&statement.text));
        }
        Cow::Borrowed(&statement.text)
    }
}

/// `set_config(…, true)` as a statement: for this transaction only.
fn scoped(begin: &str, organization: OrganizationId) -> String {
    format!("{begin}; SET LOCAL app.organization_id = '{organization}'")
}

fn simple(client: &Client, sql: String) -> Trip<'_> {
    Box::pin(async move { client.batch_execute(&sql).await.map(|()| Outcome::default()) })
}

fn query<'c>(client: &'c Client, prepared: &'c Prepared, statement: &'c Statement) -> Trip<'c> {
    Box::pin(async move {
        let values = statement.values.iter().map(|value| value as &(dyn ToSql + Sync));
        let answer = client.query_raw(prepared, values).await?;
        let mut answer = std::pin::pin!(answer);
        let mut rows = Vec::new();
        while let Some(row) = answer.try_next().await? {
            rows.push((0..row.len()).map(|place| value(&row, place)).collect::<Result<Row, _>>()?);
        }
        Ok(Outcome { count: answer.rows_affected().unwrap_or_default(), rows })
    })
}

/// What a trip's outcome means to the engine. A connection that fell silent is closed, not given back.
fn done<T>(connection: Object, outcome: Result<T, Fault>) -> Result<T> {
    outcome.map_err(|fault| match fault {
        Fault::Told(error) => from_postgres(error),
        Fault::Decided(error) => error,
        Fault::Silence(patience) => {
            drop(Object::take(connection));
            let seconds = patience.as_secs_f64();
            Error::unavailable(format!("PostgreSQL has not answered for {seconds} s: the connection is given up"))
        }
    })
}

fn value(row: &tokio_postgres::Row, place: usize) -> Result<Value, tokio_postgres::Error> {
    row.try_get::<_, Read>(place).map(|Read(value)| value)
}

/// A value as it comes from a row.
struct Read(Value);

type Refusal = Box<dyn std::error::Error + Sync + Send>;

impl<'r> tokio_postgres::types::FromSql<'r> for Read {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Refusal> {
        Ok(Self(match *ty {
            Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::UUID => Value::Uuid(uuid::Uuid::from_sql(ty, raw)?),
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            _ => Value::Text(String::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Refusal> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::BOOL | Type::INT8 | Type::INT4 | Type::INT2 | Type::FLOAT8 | Type::UUID | Type::BYTEA)
            || <String as tokio_postgres::types::FromSql>::accepts(ty)
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Refusal> {
        // The kind of value alone: the value may be a secret.
        let kind = std::mem::discriminant(self);
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => value.to_sql(ty, out),
            (Self::Int(value), &Type::INT8) => value.to_sql(ty, out),
            (Self::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Self::Int(value), &Type::INT2) => i16::try_from(*value)?.to_sql(ty, out),
            (Self::Int(value), &Type::FLOAT8) => (*value as f64).to_sql(ty, out),
            (Self::Real(value), &Type::FLOAT8) => value.to_sql(ty, out),
            (Self::Text(value), _) if <&str as ToSql>::accepts(ty) => value.as_str().to_sql(ty, out),
            (Self::Uuid(value), &Type::UUID) => value.to_sql(ty, out),
            (Self::Bytes(value), &Type::BYTEA) => value.as_slice().to_sql(ty, out),
            _ => Err(format!("a column of type {ty} does not take this value ({kind:?})").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    tokio_postgres::types::to_sql_checked!();
}
