//! The OpenAPI 3.1 document and the page that shows it, both made from the tables.

mod catalogue;
mod document;
mod example;
mod links;
mod page;

pub use self::{
    catalogue::{Catalogue, SchemaOf},
    document::document,
    page::page,
};
