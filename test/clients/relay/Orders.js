// What a Relay app writes beside its components; relay-compiler makes artifacts
// of it and the list of the only documents that Souk then runs.
graphql`
  query OrdersQuery($count: Int!, $cursor: String) {
    viewer {
      user {
        displayName
      }
      ...Orders_viewer @arguments(count: $count, cursor: $cursor)
    }
  }
`;

graphql`
  fragment Orders_viewer on Viewer @argumentDefinitions(count: { type: "Int!" }, cursor: { type: "String" }) {
    orders(first: $count, after: $cursor) @connection(key: "Orders_viewer_orders") {
      edges {
        node {
          id
          state
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

graphql`
  fragment Orders_order on Order @refetchable(queryName: "OrdersRefetchQuery") {
    state
    total {
      amountMinor
      currency
    }
    timeline {
      kind
    }
  }
`;

graphql`
  mutation OrdersBuyMutation($input: PurchaseCreateInput!) {
    purchaseCreate(input: $input) {
      order {
        id
        state
      }
      userErrors {
        code
        retry
      }
    }
  }
`;

graphql`
  subscription OrdersUpdatedSubscription($after: String) {
    orderUpdated(after: $after) {
      cursor
      order {
        id
        state
      }
    }
  }
`;
