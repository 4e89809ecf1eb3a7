//! The relational kernel of trefoil: sessions, sources, sinks, DataFusion bound to the engine
