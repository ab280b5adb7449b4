//! The table of operations: name, input, output and permission of everything the engine can be asked. One line here gives
//! the typed handle, [`Handle::call`](crate::Handle::call), the JSON schemas and what the server, the bindings and the
//! MCP tools are made from.

use futures::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::{
    doors::crm::{Answer, Handle},
    error::Result,
    scope::{FieldRules, Permission, Role},
};

/// The shape of an operation's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// One JSON value.
    Json,
    /// `{data, next_cursor}`.
    Page,
    /// Nothing.
    Empty,
}

/// Whether an operation only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Query,
    /// It changes something, and may carry an idempotency key.
    Command,
}

/// One operation.
pub struct Operation {
    /// `<plural>.<verb>`, for example `contacts.create`.
    pub name: &'static str,
    /// What it does, for people: the first line is a summary.
    pub doc: &'static str,
    /// What the caller must be allowed.
    pub permission: Permission,
    /// Whether it changes anything.
    pub effect: Effect,
    /// The JSON schema of its input.
    pub input: fn(&mut SchemaGenerator) -> Schema,
    /// The JSON schema of its answer.
    pub output: fn(&mut SchemaGenerator) -> Schema,
    /// The shape of its answer.
    pub output_kind: OutputKind,
    pub(crate) call: for<'a> fn(&'a Handle, Value) -> BoxFuture<'a, Result<Answer>>,
    pub(crate) text: for<'a> fn(&'a Handle, Value) -> BoxFuture<'a, Result<String>>,
}

impl Operation {
    /// Whether members of a role may ask it: one cell of the matrix of access. What it is asked about, and in whose name,
    /// may forbid more.
    pub const fn is_open_to(&self, role: Role) -> bool {
        role.permissions().contains(self.permission)
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({})", self.name)
    }
}

/// Finds an operation by its name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    crate::doors::operations::OPERATIONS.iter().copied().flatten().find(|operation| operation.name == name)
}

/// Every operation, in the table's order.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    crate::doors::operations::OPERATIONS.iter().copied().flatten()
}

/// The shape of an answer, told by its type.
pub(crate) trait Output: JsonSchema {
    const KIND: OutputKind = OutputKind::Json;
    /// Empties what is not shown to the caller. An answer that tells of contacts, companies or deals says how.
    fn mask(&mut self, _rules: &FieldRules) {}
    /// Members that hold a secret which is shown once: `null` in what an idempotency key is answered again.
    const SECRETS: &'static [&'static str] = &[];
}

/// The first of several expressions.
macro_rules! first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}
pub(crate) use first;

/// Declares one room's operations: the typed handle and its lines of the table. `as "word"` names an operation whose verb
/// is a word that Rust keeps for itself. What must wait for the outside (a live check, a file's bytes) happens before the
/// unit, once: `…::verb, after …::prepare` hands `prepare(engine, scope, input)`'s answer to the verb.
macro_rules! room {
    (
        $(#[$room_doc:meta])* $room:ident $handle:ident ($table:ident);
        $($(#[doc = $doc:literal])+ $effect:ident $verb:ident $(as $word:literal)? ( $input:ty ) -> $output:ty [ $access:ident $resource:ident ] $service:path $(, after $prepare:path)?;)*
    ) => {
        $(#[$room_doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $handle<'h>(&'h $crate::doors::crm::Handle);

        impl $crate::doors::crm::Handle {
            $(#[$room_doc])*
            pub fn $room(&self) -> $handle<'_> { $handle(self) }
        }

        impl $handle<'_> {
            $(
                $(#[doc = $doc])+
                ///
                /// # Errors
                /// `forbidden` without the permission; otherwise what the operation says of its input and the state.
                pub async fn $verb(&self, input: $input) -> $crate::error::Result<$output> {
                    let name = $crate::doors::operation::first!($(concat!(stringify!($room), ".", $word),)? concat!(stringify!($room), ".", stringify!($verb)));
                    let permission = $crate::scope::Permission::$access($crate::scope::Resource::$resource);
                    $(let input = self.0.prepare(name, permission, input, $prepare).await?;)?
                    let mut output: $output =
                        self.0.run(name, permission, move |unit| Box::pin($service(unit, input.clone()))).await?;
                    $crate::doors::operation::Output::mask(&mut output, &self.0.scope.fields);
                    Ok(output)
                }
            )*
        }

        pub(crate) const $table: &[$crate::doors::operation::Operation] = &[$(
            $crate::doors::operation::Operation {
                name: $crate::doors::operation::first!($(concat!(stringify!($room), ".", $word),)? concat!(stringify!($room), ".", stringify!($verb))),
                doc: concat!($($doc, "\n"),+),
                permission: $crate::scope::Permission::$access($crate::scope::Resource::$resource),
                effect: $crate::doors::operation::Effect::$effect,
                input: |generator| generator.subschema_for::<$input>(),
                output: |generator| generator.subschema_for::<$output>(),
                output_kind: <$output as $crate::doors::operation::Output>::KIND,
                call: |handle, input| Box::pin(async move {
                    let name = $crate::doors::operation::first!($(concat!(stringify!($room), ".", $word),)? concat!(stringify!($room), ".", stringify!($verb)));
                    let digest = $crate::services::idempotency::digest(&handle.engine, &handle.scope, &input)?;
                    let permission = $crate::scope::Permission::$access($crate::scope::Resource::$resource);
                    // Before the input is looked at: who may not ask learns nothing of what would be asked.
                    handle.scope.require(permission).map_err(|e| e.in_operation(name))?;
                    let input: $input = $crate::input::read_input(input).map_err(|e| e.in_operation(name))?;
                    $(
                        // What was answered before needs no preparation again.
                        if let Some(answer) = handle.replayed(name, permission, &digest).await? {
                            return Ok(answer);
                        }
                        let input = handle.prepare(name, permission, input, $prepare).await?;
                    )?
                    handle.run_json(
                        name,
                        permission,
                        digest,
                        <$output as $crate::doors::operation::Output>::SECRETS,
                        move |unit| {
                            let input = input.clone();
                            Box::pin(async move {
                                let mut output: $output = $service(unit, input).await?;
                                $crate::doors::operation::Output::mask(&mut output, &unit.scope().fields);
                                serde_json::to_value(output).map_err(|e| $crate::error::Error::internal("the answer is no JSON").with_source(e))
                            })
                        },
                    ).await
                }),
                text: |handle, input| Box::pin(async move {
                    handle.scope.require($crate::scope::Permission::$access($crate::scope::Resource::$resource))?;
                    let input: $input = $crate::input::read_input(input)?;
                    let output = handle.$room().$verb(input).await?;
                    serde_json::to_string(&output).map_err(|e| $crate::error::Error::internal("the answer is no JSON").with_source(e))
                }),
            },
        )*];
    };
}
pub(crate) use room;

impl<T: Output> Output for crate::page::Page<T> {
    const KIND: OutputKind = OutputKind::Page;

    fn mask(&mut self, rules: &FieldRules) {
        self.data.iter_mut().for_each(|item| item.mask(rules));
    }
}

impl Output for () {
    const KIND: OutputKind = OutputKind::Empty;
}

/// Answers that are one JSON value.
macro_rules! json_outputs {
    ($($type:ty),* $(,)?) => { $(impl $crate::doors::operation::Output for $type {})* };
}
pub(crate) use json_outputs;
